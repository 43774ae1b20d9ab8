package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// Copied says how much a copy of a store has.
type Copied struct{ Accounts, Lines, Keys int }

// CheckStopped fails when the service, or a command, has the SQLite store of the configuration open.
func CheckStopped(ctx context.Context, c *config.Config) error {
	return sqlite.CheckUnused(ctx, c.DataDir)
}

// CopyToPostgres copies everything that the store holds into the empty PostgreSQL database of the URL, reads it back and
// compares it. The service must be stopped: two stores of one device tear its ratchet apart.
func (c *Core) CopyToPostgres(ctx context.Context, url secret.Text) (Copied, error) {
	to, err := openTarget(ctx, url)
	if err != nil {
		return Copied{}, err
	}
	keys, err := c.Store.ListKeys(ctx)
	if err == nil {
		err = wholeKeys(keys)
	}
	var epoch otp.Epoch
	if err == nil {
		epoch, err = c.Store.Epoch(ctx)
	}
	if err == nil {
		err = to.Load(ctx, postgres.Contents{
			Rows: allRows(ctx, c.Store), Former: allFormer(ctx, c.Store), Lines: allLines(ctx, c.Store), Keys: keys, Epoch: epoch,
		})
	}
	var copied Copied
	if err == nil {
		copied, err = compare(ctx, c.Store, to)
	}
	return copied, errors.Join(err, to.Close())
}

// allRows returns every row, a page at a time.
func allRows(ctx context.Context, store Store) iter.Seq2[otp.Row, error] {
	return paged(otp.Account(""), func(after otp.Account) ([]otp.Row, error) { return wholeRows(ctx, store, after) }, accountOf)
}

func accountOf(row otp.Row) otp.Account { return row.Account }

// allFormer returns the row of every device that an account had before another one, a page at a time.
func allFormer(ctx context.Context, store Store) iter.Seq2[otp.Row, error] {
	return paged(otp.Row{}, func(after otp.Row) ([]otp.Row, error) { return store.ListFormer(ctx, after, page) },
		func(row otp.Row) otp.Row { return row })
}

// errNotWhole means that something cannot be copied, because it cannot be read.
var errNotWhole = errors.New("is damaged, and only what is whole can be copied")

func wholeKeys(keys []authn.Key) error {
	for _, key := range keys {
		if key.Damage != "" {
			return fmt.Errorf("the API key %s %w: %s", key.ID, errNotWhole, key.Damage)
		}
	}
	return nil
}

// wholeRows is List of the store, and refuses a row that could not be read whole.
func wholeRows(ctx context.Context, store Store, after otp.Account) ([]otp.Row, error) {
	rows, err := store.List(ctx, after, page)
	for _, row := range rows {
		if len(row.Body) == 0 {
			return nil, fmt.Errorf("the record of account %q %w", row.Account, errNotWhole)
		}
	}
	return rows, err
}

// wholeLines is AuditAfter of the store, and refuses a damaged line.
func wholeLines(ctx context.Context, store Store, after int64) ([]otp.AuditRecord, error) {
	lines, err := store.AuditAfter(ctx, after, page)
	for _, line := range lines {
		if line.Damage != "" {
			return nil, fmt.Errorf("line %d of the audit log %w: %s", line.ID, errNotWhole, line.Damage)
		}
	}
	return lines, err
}

// allLines returns every line of the audit log, a page at a time.
func allLines(ctx context.Context, store Store) iter.Seq2[otp.AuditRecord, error] {
	return paged(int64(0), func(after int64) ([]otp.AuditRecord, error) { return wholeLines(ctx, store, after) },
		func(line otp.AuditRecord) int64 { return line.ID })
}

// paged returns all items of pages, each of which begins after the last item of the previous page.
func paged[T, K any](after K, read func(K) ([]T, error), key func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			items, err := read(after)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if len(items) == 0 {
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
				after = key(item)
			}
		}
	}
}

// compare reads both stores side by side.
func compare(ctx context.Context, from, to Store) (copied Copied, err error) {
	sameRow := func(a, b otp.Row) bool {
		return a.Account == b.Account && a.Revision == b.Revision && a.InDoubt == b.InDoubt && a.LeasedUntil.Equal(b.LeasedUntil) &&
			a.UnreadAnswers == b.UnreadAnswers && a.Claim == b.Claim && a.Disabled == b.Disabled &&
			a.Epoch == b.Epoch && a.StoreEpoch == b.StoreEpoch && bytes.Equal(a.Body, b.Body) && bytes.Equal(a.Secrets.Reveal(), b.Secrets.Reveal())
	}
	if copied.Accounts, err = same(allRows(ctx, from), allRows(ctx, to), sameRow); err != nil {
		return copied, fmt.Errorf("compare the accounts: %w", err)
	}
	if _, err = same(allFormer(ctx, from), allFormer(ctx, to), sameRow); err != nil {
		return copied, fmt.Errorf("compare the former devices: %w", err)
	}
	sameLine := func(a, b otp.AuditRecord) bool { return a == b }
	if copied.Lines, err = same(allLines(ctx, from), allLines(ctx, to), sameLine); err != nil {
		return copied, fmt.Errorf("compare the audit log: %w", err)
	}
	keys, err := from.ListKeys(ctx)
	if err != nil {
		return copied, err
	}
	others, err := to.ListKeys(ctx)
	if err == nil && !slices.EqualFunc(keys, others, func(a, b authn.Key) bool { return reflect.DeepEqual(a, b) }) {
		err = fmt.Errorf("compare the API keys: %w", errDiffer)
	}
	copied.Keys = len(keys)
	return copied, err
}

var errDiffer = errors.New("the copy differs from what it was made of: is the service still running? " +
	"Stop it, and copy into an empty database")

// same fails unless both return the same items, and returns how many.
func same[T any](some, others iter.Seq2[T, error], alike func(T, T) bool) (n int, err error) {
	next, stop := iter.Pull2(others)
	defer stop()
	for item, err := range some {
		other, errOther, more := next()
		if err := errors.Join(err, errOther); err != nil {
			return n, err
		}
		if !more || !alike(item, other) {
			return n, errDiffer
		}
		n++
	}
	if _, _, more := next(); more {
		return n, errDiffer
	}
	return n, nil
}
