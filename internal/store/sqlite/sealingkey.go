package sqlite

import "context"

// SealingKey returns the name that RecordSealingKey recorded last; it is empty when none was recorded.
func (s *Store) SealingKey(ctx context.Context) (string, error) {
	names, err := list(ctx, s, "read which key seals", readName, sealingKey)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// RecordSealingKey records the name of the key that seals from now on. It is durable when it returns nil.
func (s *Store) RecordSealingKey(ctx context.Context, name string) error {
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		_, failure = on.exec(setSealingKey, name)
		return nil, failure
	})
}
