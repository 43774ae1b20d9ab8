package sqlite

import (
	"context"
	"database/sql"
)

// SealingKey returns the name that RecordSealingKey recorded last; it is empty when none was recorded.
func (s *Store) SealingKey(ctx context.Context) (name string, err error) {
	err = s.each(ctx, "read which key seals", s.read.sealingKey, func(row *sql.Rows) error { return row.Scan(&name) })
	return name, err
}

// RecordSealingKey records the name of the key that seals from now on. It is durable when it returns nil.
func (s *Store) RecordSealingKey(ctx context.Context, name string) error {
	return s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		_, failure = on.setSealingKey.ExecContext(ctx, name)
		return nil, failure
	})
}
