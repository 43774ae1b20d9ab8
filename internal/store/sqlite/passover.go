package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// One damaged page must not keep a listing from the rows of the others. Where a listing meets one, the keys of its rows are read
// from an index, which has pages of its own, and then the rows one by one. What is left of a row on the damaged page is its key.

// single is how a listing is read row by row: the keys, one row by its key, and what is left of a row that cannot be read.
type single[K, T any] struct {
	keys, row string // statements
	key       func(*row) K
	read      func(*row) (T, error)
	remains   func(key K, why error) T
}

// all returns the rows of the keys that the arguments select.
func (l single[K, T]) all(ctx context.Context, s *Store, what string, args ...any) ([]T, error) {
	var rows []T // not to be touched when ctx has ended
	err := s.reader.do(ctx, func(c *conn) error {
		keys, err := all(c, func(r *row) (K, error) { return l.key(r), r.err }, l.keys, args...)
		for _, key := range keys {
			found, err := all(c, l.read, l.row, key)
			if isDamage(err) {
				found, err = []T{l.remains(key, err)}, nil
			}
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return err
	})
	if err != nil {
		return nil, s.readError(what, err)
	}
	return rows, nil
}

func (s *Store) listSingly(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	return single[string, otp.Row]{
		keys:    `SELECT account FROM device INDEXED BY sqlite_autoindex_device_1 WHERE account > ? ORDER BY account LIMIT ?`,
		row:     listDevice,
		key:     (*row).text,
		read:    readListedInEpoch,
		remains: func(account string, _ error) otp.Row { return otp.Row{Account: otp.Account(account)} },
	}.all(ctx, s, "list the records one by one", string(after), limit)
}

func (s *Store) auditSingly(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error) {
	return single[int64, otp.AuditRecord]{
		keys: `SELECT id FROM audit INDEXED BY sqlite_autoindex_audit_1 WHERE id > ? ORDER BY id LIMIT ?`,
		row: `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step
			FROM audit WHERE id = ?`,
		key:  (*row).integer,
		read: readLine,
		remains: func(id int64, why error) otp.AuditRecord {
			return otp.AuditRecord{ID: id, Damage: fmt.Sprintf("the line cannot be read: %v", why)}
		},
	}.all(ctx, s, "read the audit log line by line", id, limit)
}

// listKeysSingly returns the keys in the order in which they were made; those that cannot be read come first.
func (s *Store) listKeysSingly(ctx context.Context) ([]authn.Key, error) {
	keys, err := single[string, authn.Key]{
		keys:    `SELECT id FROM api_key INDEXED BY sqlite_autoindex_api_key_1 ORDER BY id`,
		row:     findKey,
		key:     (*row).text,
		read:    readListedKey,
		remains: func(id string, why error) authn.Key { return authn.Key{ID: id, Damage: why.Error()} },
	}.all(ctx, s, "list the API keys one by one")
	slices.SortStableFunc(keys, func(a, b authn.Key) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return keys, err
}
