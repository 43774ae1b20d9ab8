package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// SealingKey returns the name that RecordSealingKey recorded last; it is empty when none was recorded.
func (s *Store) SealingKey(ctx context.Context) (name string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT name FROM sealing_key`).Scan(&name)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", describe("read which key seals", err)
	}
	return name, nil
}

// RecordSealingKey records the name of the key that seals from now on. It is durable when it returns nil.
func (s *Store) RecordSealingKey(ctx context.Context, name string) error {
	const record = `INSERT INTO sealing_key (id, name) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET name = excluded.name`
	if _, err := s.pool.Exec(ctx, record, name); err != nil {
		return describe("record which key seals", err)
	}
	return nil
}
