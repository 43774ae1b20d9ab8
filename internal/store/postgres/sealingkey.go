package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// SealingKey returns the name that RecordSealingKey recorded last; it is empty when none was recorded.
func (s *Store) SealingKey(ctx context.Context) (name string, err error) {
	err = s.queryRow(ctx, s.limits.others, "read which key seals", `SELECT name FROM sealing_key`, nil, []any{&name})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return name, err
}

// RecordSealingKey records the name of the key that seals from now on. It is durable when it returns nil.
func (s *Store) RecordSealingKey(ctx context.Context, name string) error {
	const record = `INSERT INTO sealing_key (id, name) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET name = excluded.name`
	return s.exec(ctx, s.limits.others, "record which key seals", record, name)
}
