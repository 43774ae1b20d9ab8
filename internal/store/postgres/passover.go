package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// One damaged page must not keep a listing from the rows of the others. The server returns no key from an index without looking at
// the page of its row, so the keys of rows on a damaged page are found by trial: a range of keys cannot be read if it has one of
// them, and the smallest such range ends at the key.

// listing is how a table is read in parts.
type listing[K string | int64, T any] struct {
	rows string // a statement for those with a key above $1, up to $2, in the order of keys, at most $3
	// remains is the same without what is stored apart from a row when it is large.
	remains string
	scan    pgx.RowToFunc[T]
	key     func(T) K
	lost    func(key K, why error) T // what is known of a row that cannot be read
	last    K                        // no key is above it
	// locate returns the lowest key above low up to which the rows cannot be read.
	locate func(ctx context.Context, tx pgx.Tx, low K) (K, error)
}

// past returns the rows with a key above low, at most limit, past damaged ones.
func (l listing[K, T]) past(ctx context.Context, s *Store, what string, low K, limit int) (all []T, err error) {
	err = s.do(ctx, s.limits.others, what, func(ctx context.Context, conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// A scan of the table would meet every damaged page, whatever the range.
			if _, err := tx.Exec(ctx, `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)`); err != nil {
				return err
			}
			all, err = l.collect(ctx, tx, low, limit)
			return err
		})
	})
	return all, err
}

func (l listing[K, T]) collect(ctx context.Context, tx pgx.Tx, low K, limit int) (all []T, err error) {
	for size := limit; len(all) < limit; size = min(2*size, limit-len(all)) {
		found, err := l.read(ctx, tx, l.rows, low, l.last, size)
		for isDamage(err) && size > 1 {
			size = (size + 1) / 2
			found, err = l.read(ctx, tx, l.rows, low, l.last, size)
		}
		if isDamage(err) {
			found, err = l.readDamaged(ctx, tx, low)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		if len(found) < size {
			return all, nil
		}
		low = l.key(found[len(found)-1])
	}
	return all, nil
}

// readDamaged returns what can be read of the first row with a key above low, which is damaged.
func (l listing[K, T]) readDamaged(ctx context.Context, tx pgx.Tx, low K) ([]T, error) {
	found, why := l.read(ctx, tx, l.remains, low, l.last, 1)
	if !isDamage(why) {
		return found, why
	}
	key, err := l.locate(ctx, tx, low)
	if err != nil {
		return nil, err
	}
	return []T{l.lost(key, why)}, nil
}

// read runs a statement in the transaction, which goes on when it fails.
func (l listing[K, T]) read(ctx context.Context, tx pgx.Tx, statement string, low, high K, limit int) (found []T, err error) {
	return attempt(ctx, tx, l.scan, statement, low, high, limit)
}

// attempt runs a statement that returns rows in the transaction, which goes on when it fails.
func attempt[T any](ctx context.Context, tx pgx.Tx, scan pgx.RowToFunc[T], statement string, args ...any) (found []T, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, statement, args...)
		if err == nil {
			found, err = pgx.CollectRows(rows, scan)
		}
		return err
	})
	return found, err
}

func (s *Store) listPast(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	const some = ` FROM device WHERE account > $1 AND account <= $2 ORDER BY account LIMIT $3`
	return listing[string, otp.Row]{
		rows: `SELECT ` + listedColumns + some,
		remains: `SELECT account, revision, in_doubt, held_until, ''::bytea, ''::bytea, unread_answers, serial, active, epoch, disabled,
			(SELECT number FROM doubt_epoch WHERE id = 1), (SELECT since FROM doubt_epoch WHERE id = 1)` + some,
		scan:   scanRow,
		key:    func(row otp.Row) string { return string(row.Account) },
		lost:   func(account string, _ error) otp.Row { return otp.Row{Account: otp.Account(account)} },
		last:   lastName(),
		locate: locateName("SELECT revision FROM device WHERE account > $1 AND account <= $2 ORDER BY account LIMIT 1"),
	}.past(ctx, s, "list the records, past damaged ones", string(after), limit)
}

func (s *Store) auditPast(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error) {
	const some = `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step FROM audit
		WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3`
	return listing[int64, otp.AuditRecord]{
		rows: some, remains: some, scan: scanLine,
		key: func(line otp.AuditRecord) int64 { return line.ID },
		lost: func(id int64, why error) otp.AuditRecord {
			return otp.AuditRecord{ID: id, Damage: fmt.Sprintf("the line cannot be read: %v", why)}
		},
		last:   math.MaxInt64,
		locate: locateLine,
	}.past(ctx, s, "read the audit log, past damaged lines", id, limit)
}

// listKeysPast returns the keys in the order in which they were made; those that cannot be read come first.
func (s *Store) listKeysPast(ctx context.Context) ([]authn.Key, error) {
	const some = `SELECT ` + keyColumns + ` FROM api_key WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3`
	keys, err := listing[string, authn.Key]{
		rows: some, remains: some, scan: scanListedKey,
		key:    func(key authn.Key) string { return key.ID },
		lost:   func(id string, why error) authn.Key { return authn.Key{ID: id, Damage: why.Error()} },
		last:   lastName(),
		locate: locateName("SELECT scopes FROM api_key WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 1"),
	}.past(ctx, s, "list the API keys, past damaged ones", "", math.MaxInt32)
	slices.SortStableFunc(keys, func(a, b authn.Key) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return keys, err
}

// lastName returns the last of the names that accounts and API keys can have: they are printable ASCII, ordered by their bytes.
func lastName() string { return strings.Repeat("~", 128) }

// locateName finds a name character by character. It does so on the server, since it takes some hundred attempts. probe selects a
// column that is in no index from the row with the lowest name above $1 and up to $2.
func locateName(probe string) func(context.Context, pgx.Tx, string) (string, error) {
	locate := `DO $do$
		DECLARE
			low text := current_setting('pimsd.low');
			name text := '';
			least integer;
			most integer;
			middle integer;
		BEGIN
			<<characters>>
			WHILE length(name) < 128 LOOP
				least := ascii(' ');
				most := ascii('~');
				WHILE least < most LOOP
					middle := (least + most) / 2;
					BEGIN
						EXECUTE $probe$` + probe + `$probe$ USING low, rpad(name || chr(middle), 128, '~');
						least := middle + 1;
					EXCEPTION WHEN data_corrupted OR index_corrupted THEN
						most := middle;
					END;
				END LOOP;
				name := name || chr(least);
				BEGIN
					EXECUTE $probe$` + probe + `$probe$ USING low, name;
				EXCEPTION WHEN data_corrupted OR index_corrupted THEN
					EXIT characters;
				END;
			END LOOP;
			PERFORM set_config('pimsd.name', name, true);
		END $do$`
	return func(ctx context.Context, tx pgx.Tx, low string) (name string, err error) {
		if _, err = tx.Exec(ctx, `SELECT set_config('pimsd.low', $1, true)`, low); err == nil {
			_, err = tx.Exec(ctx, locate)
		}
		if err == nil {
			err = tx.QueryRow(ctx, `SELECT current_setting('pimsd.name')`).Scan(&name)
		}
		return name, err
	}
}

// locateLine finds the ID of a line. IDs are dense, so it looks near low first.
func locateLine(ctx context.Context, tx pgx.Tx, low int64) (int64, error) {
	const probe = `SELECT step FROM audit WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 1`
	var failure error
	cannotRead := func(upTo int64) bool {
		_, err := attempt(ctx, tx, pgx.RowTo[int64], probe, low, upTo)
		if err != nil && !isDamage(err) {
			failure = err
		}
		return err != nil // which ends the search soon where something else has failed
	}
	step := int64(1)
	for step < math.MaxInt64/2-low && !cannotRead(low+step) {
		low, step = low+step, 2*step
	}
	id := low + 1 + int64(sort.Search(int(step-1), func(i int) bool { return cannotRead(low + 1 + int64(i)) }))
	return id, failure
}
