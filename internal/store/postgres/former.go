package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// formerAsListed are a former device in deviceColumns, and that it is one.
const formerAsListed = `account, revision, false, NULL::bigint, body, ''::bytea, 0, serial, false, 0, true`

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	const bySerial = `SELECT account, revision, in_doubt, held_until, body, ''::bytea, unread_answers, serial, active, epoch, false AS former
		FROM device WHERE serial = $1 AND serial <> ''
		UNION ALL SELECT ` + formerAsListed + ` FROM former_device WHERE serial = $1 ORDER BY account, former`
	return query(ctx, s, s.limits.lookups, "find the accounts of a device", scanFound, bySerial, serial)
}

// ListFormer returns the rows of devices that accounts had before others, in the order of serials and accounts, those after the
// row given, at most limit. The zero row is before all others.
func (s *Store) ListFormer(ctx context.Context, after otp.Row, limit int) ([]otp.Row, error) {
	const list = `SELECT ` + formerAsListed + ` FROM former_device WHERE (serial, account) > ($1, $2) ORDER BY serial, account LIMIT $3`
	return query(ctx, s, s.limits.others, "list the former devices", scanFound, list, after.Claim.Serial, string(after.Account), limit)
}

// scanFound reads deviceColumns, and whether the row is a former one.
func scanFound(from pgx.CollectableRow) (row otp.Row, err error) {
	var heldUntil *int64
	var vault []byte
	err = from.Scan(&row.Account, &row.Revision, &row.InDoubt, &heldUntil, &row.Body, &vault,
		&row.UnreadAnswers, &row.Claim.Serial, &row.Claim.Active, &row.Epoch, &row.Former)
	row.LeasedUntil, row.Secrets = timeOrZero(heldUntil), secret.NewBytes(vault)
	return row, err
}
