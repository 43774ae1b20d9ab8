package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Fetch is as otp.Store says. The time is the database's.
func (s *Store) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	found, err := s.snapshot(ctx, account, "") // the key of no call
	if err == nil && found.Row.Revision == 0 {
		err = otp.ErrNotFound
	}
	return found.Row, found.Now, err
}

// Update is as otp.Store says.
func (s *Store) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	read := func(ctx context.Context) (otp.Snapshot, error) { return s.snapshot(ctx, account, key) }
	return otp.UpdateInSteps(ctx, read, s, decide)
}

// snapshot reads what an Update decides on: one statement, and so one snapshot. The time is the database's. Of a damaged row
// it returns what can be read, with an empty Body, and a damaged response counts as discarded.
func (s *Store) snapshot(ctx context.Context, account otp.Account, key string) (otp.Snapshot, error) {
	const what = "fetch the record of an account"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	task, err := s.reads.do(ctx, readTask{fetch: fetched{row: otp.Row{Account: account}, key: key}})
	f := task.fetch
	if isDamage(err) { // of this record, or of another one that was read with it
		f, err = s.fetchAlone(ctx, f)
	}
	if err == nil && f.kept != nil && !f.kept.Answer.IsEmpty() {
		err = s.waitForReplication(ctx)
	}
	if err != nil {
		return otp.Snapshot{}, describe(what, err)
	}
	return otp.Snapshot{Row: f.row, Now: f.now, Response: f.kept, KeysVersion: f.keysVersion}, nil
}

// CountUnreadAnswers returns the number of kept finalize answers that could not be read.
func (s *Store) CountUnreadAnswers(ctx context.Context) (count int, err error) {
	const countUnread = `SELECT coalesce(sum(unread_answers), 0) FROM device WHERE unread_answers > 0`
	err = s.queryRow(ctx, s.limits.others, "count the answers that could not be read", countUnread, nil, []any{&count})
	return count, err
}

// List returns rows in the order of their accounts' bytes, those after the account given, at most limit. The empty
// account is before all others. Of a damaged row it returns what can be read, with an empty Body.
func (s *Store) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	const list = `SELECT ` + listedColumns + ` FROM device WHERE account > $1 ORDER BY account LIMIT $2`
	rows, err := query(ctx, s, s.limits.others, "list the records", scanRow, list, string(after), limit)
	if isDamage(err) {
		return s.listPast(ctx, after, limit)
	}
	return rows, err
}

func scanRow(from pgx.CollectableRow) (row otp.Row, err error) {
	var since int64
	err = scanDevice(from, &row, &row.StoreEpoch.Number, &since)
	row.StoreEpoch.Since = sinceOf(since)
	return row, err
}

// scanDevice reads deviceColumns into the row, and what is behind them.
func scanDevice(from pgx.CollectableRow, row *otp.Row, behind ...any) error {
	var heldUntil *int64
	var vault []byte
	err := from.Scan(append([]any{
		&row.Account, &row.Revision, &row.InDoubt, &heldUntil, &row.Body, &vault,
		&row.UnreadAnswers, &row.Claim.Serial, &row.Claim.Active, &row.Epoch, &row.Disabled,
	}, behind...)...)
	row.LeasedUntil, row.Secrets = timeOrZero(heldUntil), secret.NewBytes(vault)
	return err
}
