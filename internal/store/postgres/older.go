package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// OlderStore reads what a store of any schema up to this version's knows about its sealing keys. It changes nothing, and is for one
// goroutine at a time.
type OlderStore struct{ conn *pgx.Conn }

// OpenOlder connects to the database, which must have a store. The caller must close it.
func OpenOlder(ctx context.Context, o Options) (*OlderStore, error) {
	config, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, explain(err)
	}
	return &OlderStore{conn: conn}, nil
}

// SealingKey returns the name of the key that the store is sealed under; it is empty when none was recorded, as in a store that is older
// than that record.
func (s *OlderStore) SealingKey(ctx context.Context) (name string, err error) {
	var recorded bool
	err = s.conn.QueryRow(ctx, `SELECT to_regclass('sealing_key') IS NOT NULL`).Scan(&recorded)
	if err != nil || !recorded {
		return "", err
	}
	err = s.conn.QueryRow(ctx, `SELECT name FROM sealing_key`).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return name, err
}

// List returns rows with the account and the secrets alone, in the order of their accounts' bytes: those after the account given, at most
// limit.
func (s *OlderStore) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	const list = `SELECT account, vault FROM device WHERE account > $1 ORDER BY account LIMIT $2`
	rows, err := s.conn.Query(ctx, list, string(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(from pgx.CollectableRow) (row otp.Row, err error) {
		var vault []byte
		err = from.Scan(&row.Account, &vault)
		row.Secrets = secret.NewBytes(vault)
		return row, err
	})
}

// Close closes the connection.
func (s *OlderStore) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return s.conn.Close(ctx)
}
