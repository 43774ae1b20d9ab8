package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pimsd/pimsd/internal/otp"
)

// formerAsListed are a former device in deviceColumns, and that it is one.
const formerAsListed = `account, revision, false, NULL::bigint, body, ''::bytea, 0, serial, false, 0, false, true`

// bySerial finds the rows of all accounts that have or had the device with a serial.
const bySerial = `SELECT account, revision, in_doubt, held_until, body, ''::bytea, unread_answers, serial, active, epoch, disabled,
		false AS former
		FROM device WHERE serial = $1 AND serial <> ''
		UNION ALL SELECT ` + formerAsListed + ` FROM former_device WHERE serial = $1 ORDER BY account, former`

// lockSerial waits for the other writes that were decided on a history of the device with that serial.
const lockSerial = `SELECT pg_advisory_xact_lock(1886416243, hashtext($1))`

// execAfterHistory is execCount for the statement of a write. Where the write was decided on a history of its device, it compares that
// first, in the same transaction, in which no other such write comes in between: none that claims the device does.
func (s *Store) execAfterHistory(
	ctx context.Context, l connLimit, what string, w otp.Write, statement string, args ...any,
) (rows int64, err error) {
	if w.History == nil {
		return s.execCount(ctx, l, what, statement, args...)
	}
	err = s.do(ctx, s.limits.singles, what, func(ctx context.Context, conn *pgx.Conn) error { // it may wait for another session
		return inTransaction(ctx, conn, func() (*pgx.Batch, error) {
			if _, err := conn.Exec(ctx, lockSerial, w.History.Serial); err != nil {
				return nil, err
			}
			found, err := conn.Query(ctx, bySerial, w.History.Serial)
			if err != nil {
				return nil, err
			}
			switch now, err := pgx.CollectRows(found, scanFound); {
			case err != nil:
				return nil, err
			case !w.History.Holds(now, w.Row.Account):
				return nil, otp.ErrHistoryChanged
			}
			last := &pgx.Batch{}
			last.Queue(statement, args...).Exec(func(result pgconn.CommandTag) error {
				rows = result.RowsAffected()
				return nil
			})
			return last, nil
		})
	})
	return rows, err
}

// inTransaction runs work, and sends the statements that it returns together with their commit. A statement that adds to the audit log must
// be one of those: it has the lock for which the writes of all replicas wait, and a process that is stopped before it commits would
// keep that lock for as long as the server lets the session be idle.
func inTransaction(ctx context.Context, conn *pgx.Conn, work func() (*pgx.Batch, error)) error {
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	last, err := work()
	if err == nil {
		last.Queue("COMMIT")
		err = conn.SendBatch(ctx, last).Close()
	}
	const idle = 'I'
	if err != nil && conn.PgConn().TxStatus() != idle {
		_, _ = conn.Exec(ctx, "ROLLBACK") // the pool does not keep a connection on which that fails
	}
	return err
}

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
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
	err = scanDevice(from, &row, &row.Former)
	return row, err
}
