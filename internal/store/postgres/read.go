package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Fetch is as otp.Store says. The time is the database's.
func (s *Store) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, _, now, err := s.FetchWithResponse(ctx, account, "") // the key of no call
	return row, now, err
}

const (
	fetchBegin = `SELECT ` + clock + `, d.account IS NOT NULL, coalesce(d.revision, 0), coalesce(d.in_doubt, false), d.held_until,
		a.account IS NOT NULL, coalesce(a.at, 0), `
	fetchEnd = ` FROM (VALUES ($1::text)) wanted (account) LEFT JOIN device d USING (account)
		LEFT JOIN answer a ON a.account = wanted.account AND a.key = $2`

	fetchRow = fetchBegin + `d.body, d.vault, a.fingerprint, a.answer` + fetchEnd
	// fetchRemains is fetchRow without what is stored apart from the row when it is large, and may be damaged there.
	fetchRemains = fetchBegin + `''::bytea, ''::bytea, NULL::bytea, NULL::bytea` + fetchEnd
)

// FetchWithResponse is as otp.Store says: one statement, and so one snapshot. The time is the database's. Of a damaged row
// it returns what can be read, with an empty Body, and a damaged response counts as discarded.
func (s *Store) FetchWithResponse(
	ctx context.Context, account otp.Account, key string,
) (otp.Row, *otp.Kept, time.Time, error) {
	row, kept, now, err := s.fetch(ctx, fetchRow, account, key)
	if isDamage(err) {
		row, kept, now, err = s.fetch(ctx, fetchRemains, account, key)
	}
	if kept != nil && !kept.Answer.IsEmpty() {
		if err := s.standbysHaveAll(ctx); err != nil {
			return otp.Row{}, nil, time.Time{}, fmt.Errorf("fetch a stored response: %w", err)
		}
	}
	return row, kept, now, err
}

func (s *Store) fetch(ctx context.Context, statement string, account otp.Account, key string) (otp.Row, *otp.Kept, time.Time, error) {
	row := otp.Row{Account: account}
	var at, answeredAt int64
	var found, answered bool
	var heldUntil *int64
	var vault, fingerprint, answer []byte
	err := s.queryRow(ctx, s.lanes.lookups, "fetch the record of an account", statement, []any{string(account), key}, []any{
		&at, &found, &row.Revision, &row.InDoubt, &heldUntil, &answered, &answeredAt, &row.Body, &vault, &fingerprint, &answer,
	})
	if err != nil {
		return otp.Row{}, nil, time.Time{}, err
	}
	var kept *otp.Kept
	if answered {
		kept = &otp.Kept{At: time.UnixMicro(answeredAt).UTC(), Fingerprint: fingerprint, Answer: secret.NewBytes(answer)}
	}
	now := time.UnixMicro(at).UTC()
	if !found {
		return otp.Row{}, kept, now, otp.ErrNotFound
	}
	row.HeldUntil, row.Vault = timeOrZero(heldUntil), secret.NewBytes(vault)
	return row, kept, now, nil
}

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	const bySerial = `SELECT account, revision, in_doubt, held_until, body, ''::bytea, unread_answers, serial, active
		FROM device WHERE serial = $1 AND serial <> '' ORDER BY account`
	return query(ctx, s, s.lanes.lookups, "find the accounts of a device", scanRow, bySerial, serial)
}

// CountUnreadAnswers returns the number of kept finalize answers that could not be read.
func (s *Store) CountUnreadAnswers(ctx context.Context) (count int, err error) {
	const countUnread = `SELECT coalesce(sum(unread_answers), 0) FROM device WHERE unread_answers > 0`
	err = s.queryRow(ctx, s.lanes.others, "count the answers that could not be read", countUnread, nil, []any{&count})
	return count, err
}

// List returns rows in the order of their accounts' bytes, those after the account given, at most limit. The empty
// account is before all others. Of a damaged row it returns what can be read, with an empty Body.
func (s *Store) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	const list = `SELECT ` + deviceColumns + ` FROM device WHERE account > $1 ORDER BY account LIMIT $2`
	rows, err := query(ctx, s, s.lanes.others, "list the records", scanRow, list, string(after), limit)
	if isDamage(err) {
		return s.listSingly(ctx, after, limit)
	}
	return rows, err
}

// listSingly is List, row by row, for a page that has a damaged row.
func (s *Store) listSingly(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	const (
		list    = `SELECT account FROM device WHERE account > $1 ORDER BY account LIMIT $2`
		one     = `SELECT ` + deviceColumns + ` FROM device WHERE account = $1`
		remains = `SELECT account, revision, in_doubt, held_until, ''::bytea, ''::bytea, unread_answers, serial, active
			FROM device WHERE account = $1`
	)
	accounts, err := query(ctx, s, s.lanes.others, "list the accounts", pgx.RowTo[string], list, string(after), limit)
	var rows []otp.Row
	for _, account := range accounts {
		found, err := query(ctx, s, s.lanes.others, "read a record", scanRow, one, account)
		if isDamage(err) {
			found, err = query(ctx, s, s.lanes.others, "read what remains of a record", scanRow, remains, account)
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return rows, err
}

func scanRow(from pgx.CollectableRow) (row otp.Row, err error) {
	var heldUntil *int64
	var vault []byte
	err = from.Scan(&row.Account, &row.Revision, &row.InDoubt, &heldUntil, &row.Body, &vault,
		&row.UnreadAnswers, &row.Claim.Serial, &row.Claim.Active)
	row.HeldUntil, row.Vault = timeOrZero(heldUntil), secret.NewBytes(vault)
	return row, err
}
