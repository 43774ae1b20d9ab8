package sqlite

import (
	"context"
	"fmt"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// OlderStore reads what a store of any schema up to this version's knows about its sealing keys. It changes nothing, and is for one
// goroutine at a time.
type OlderStore struct{ conn *conn }

// OpenOlder opens the store in the data directory, which must be there. The caller must close it.
func OpenOlder(dir string) (*OlderStore, error) {
	path, err := findDatabase(dir)
	if err != nil {
		return nil, err
	}
	c, err := openReadOnly(path, "")
	if err != nil {
		return nil, err
	}
	return &OlderStore{conn: c}, nil
}

// SealingKey returns the name of the key that the store is sealed under; it is empty when none was recorded, as in a store that is older
// than that record.
func (s *OlderStore) SealingKey(ctx context.Context) (string, error) {
	const recorded = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'sealing_key'`
	defer s.conn.interruptedBy(ctx)()
	tables, _, err := one(s.conn, (*row).count, recorded)
	if err != nil || tables == 0 {
		return "", err
	}
	name, _, err := one(s.conn, (*row).text, sealingKey)
	return name, err
}

// List returns rows with the account and the secrets alone, in the order of their accounts' bytes: those after the account given, at most
// limit.
func (s *OlderStore) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	const list = `SELECT account, vault FROM device WHERE account > ? ORDER BY account LIMIT ?`
	read := func(r *row) (otp.Row, error) {
		return otp.Row{Account: otp.Account(r.text()), Secrets: secret.NewBytes(r.blob())}, r.err
	}
	defer s.conn.interruptedBy(ctx)()
	rows, err := all(s.conn, read, list, string(after), limit)
	if err != nil {
		return nil, fmt.Errorf("list the records: %w", err)
	}
	return rows, nil
}

// Close closes the store.
func (s *OlderStore) Close() error { return s.conn.Close() }
