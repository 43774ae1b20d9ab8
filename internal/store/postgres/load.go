package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// Contents is everything that a store holds.
type Contents struct {
	Rows   iter.Seq2[otp.Row, error]
	Former iter.Seq2[otp.Row, error] // devices that accounts had before others
	Lines  iter.Seq2[otp.AuditRecord, error]
	Keys   []authn.Key
	Epoch  otp.Epoch // the zero value means the first epoch
}

// ErrNotEmpty says that a store would not be what was loaded into it.
var ErrNotEmpty = errors.New("the database holds accounts, keys or an audit log already: copy into an empty one")

// loadTimeout bounds filling a database.
const loadTimeout = time.Hour

// Load fills an empty store with the contents of another, in one transaction: all of it, or nothing. Vaults stay as
// they are sealed. The lines keep their ids, and later ones go on above them.
func (s *Store) Load(ctx context.Context, c Contents) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	return describe("fill the database", s.run(ctx, s.limits.others, func(ctx context.Context, conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return loadAll(ctx, tx, c) })
	}))
}

// loadAll fills the tables, which must be empty.
func loadAll(ctx context.Context, tx pgx.Tx, c Contents) error {
	var filled bool
	const look = `SELECT EXISTS (SELECT 1 FROM device) OR EXISTS (SELECT 1 FROM audit) OR EXISTS (SELECT 1 FROM api_key)`
	if err := tx.QueryRow(ctx, look).Scan(&filled); err != nil {
		return err
	}
	if filled {
		return ErrNotEmpty
	}
	err := errors.Join(
		load(ctx, tx, "device", deviceColumns, c.Rows, deviceArgs),
		load(ctx, tx, "former_device", formerColumns, c.Former, formerArgs),
		load(ctx, tx, "audit", lineColumns, c.Lines, func(l otp.AuditRecord) []any {
			copied := fmt.Sprintf("copied/%d", l.ID) // the writes of the other store are over, and are not repeated here
			return []any{l.ID, copied, l.At.UnixMicro(), string(l.Account), l.Caller, l.Transaction, l.Action, string(l.Stage), l.Outcome, l.Step}
		}),
		load(ctx, tx, "api_key", keyColumns, each(c.Keys), keyArgs),
	)
	if err != nil {
		return err
	}
	const setEpoch = `UPDATE doubt_epoch SET (number, since, cause) = ($1, $2, $3)`
	var since int64
	if !c.Epoch.Since.IsZero() {
		since = c.Epoch.Since.UnixMicro()
	}
	if _, err := tx.Exec(ctx, setEpoch, max(1, c.Epoch.Number), since, c.Epoch.Cause); err != nil {
		return fmt.Errorf("load the doubt epoch: %w", err)
	}
	return raiseAuditIDs(ctx, tx)
}

// deviceArgs are the values of deviceColumns.
func deviceArgs(r otp.Row) []any {
	return []any{
		string(r.Account), r.Revision, r.InDoubt, microsOrNull(r.LeasedUntil), nonNil(r.Body), nonNil(r.Secrets.Reveal()),
		r.UnreadAnswers, r.Claim.Serial, r.Claim.Active, r.Epoch, r.Disabled,
	}
}

// formerArgs are the values of formerColumns.
func formerArgs(r otp.Row) []any {
	return []any{r.Claim.Serial, string(r.Account), r.Revision, nonNil(r.Body)}
}

// load copies the items into a table.
func load[T any](ctx context.Context, tx pgx.Tx, table, columns string, items iter.Seq2[T, error], args func(T) []any) error {
	next, stop := iter.Pull2(items)
	defer stop()
	source := pgx.CopyFromFunc(func() ([]any, error) {
		item, err, ok := next()
		if err != nil || !ok {
			return nil, err
		}
		return args(item), nil
	})
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{table}, strings.Split(columns, ", "), source); err != nil {
		return fmt.Errorf("load the table %s: %w", table, err)
	}
	return nil
}

func each[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
