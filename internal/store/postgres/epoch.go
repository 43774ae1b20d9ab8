package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// What the audit log and the doubt epoch say of a server that was promoted.
const (
	actionPromotion = "promotion"
	outcomeDoubt    = "every device is in doubt"
	outcomeKept     = "only synchronous standbys are promoted: no device is in doubt"
	promotionCaller = "store"
)

// errOtherServer refuses a cluster that the database was copied to: what it lacks is not known.
var errOtherServer = errors.New("the database is on another PostgreSQL cluster than the one that pimsd used last, which may have lost " +
	"the newest keys of devices: when no pimsd uses the other one any more, run `pimsd account doubt --all`")

// server identifies the cluster that has the database, and each of its promotions.
type server struct{ identifier, timeline int64 }

// thisServer is what identifies the server. Every role may ask. The timeline is that of the log which is written now: after a
// promotion pg_control_checkpoint returns the old one until the first checkpoint.
const thisServer = `(SELECT system_identifier FROM pg_control_system()) AS identifier,
	('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline`

// checkServer raises the doubt epoch when the server was promoted since the last connection of any replica, before anything is read
// over the new connection. Where only synchronous standbys are promoted it records the promotion and keeps the epoch. It refuses
// another cluster.
func (o Options) checkServer(ctx context.Context, conn *pgx.Conn) error {
	var now, last server
	err := conn.QueryRow(ctx, `SELECT e.system_identifier, e.timeline, `+thisServer+` FROM doubt_epoch e`).
		Scan(&last.identifier, &last.timeline, &now.identifier, &now.timeline)
	switch {
	case err != nil:
		return fmt.Errorf("identify the database server: %w", err)
	case now == last, o.AnyServer:
		return nil
	case last.identifier == 0: // no store has been opened in this database before
		return adopt(ctx, conn, now)
	case now.identifier != last.identifier:
		return errOtherServer
	}
	return o.notePromotion(ctx, conn, now)
}

// adopt records the first server.
func adopt(ctx context.Context, conn *pgx.Conn, now server) error {
	const record = `UPDATE doubt_epoch SET (system_identifier, timeline) = ($1, $2) WHERE system_identifier = 0`
	_, err := conn.Exec(ctx, record, now.identifier, now.timeline)
	return err
}

// notePromotion records a promotion and its consequence, unless another connection has done so, in one statement with its audit entry.
func (o Options) notePromotion(ctx context.Context, conn *pgx.Conn, now server) error {
	const (
		raise = `(number, since, cause, timeline) = (number + 1, ` + clock + `, $1, $2)`
		keep  = `timeline = $2`
		noted = ` WHERE system_identifier = $3 AND timeline <> $2 RETURNING 1), ` + takeTurn + ` INSERT INTO audit (` + lineColumns + `)
		SELECT nextval('audit_id'), $4, ` + clock + `, '', $5, '', $1, '` + string(otp.StageOutcome) + `', $6, 0 FROM turn`
	)
	change, outcome := raise, outcomeDoubt
	if o.SynchronousFailover {
		change, outcome = keep, outcomeKept
	}
	_, err := conn.Exec(ctx, `WITH written AS (UPDATE doubt_epoch SET `+change+noted,
		actionPromotion, now.timeline, now.identifier, uuid.NewString(), promotionCaller, outcome)
	return err
}

// Epoch returns the doubt epoch of the store.
func (s *Store) Epoch(ctx context.Context) (epoch otp.Epoch, err error) {
	var since int64
	err = s.queryRow(ctx, s.limits.others, "read the doubt epoch", `SELECT number, since, cause FROM doubt_epoch`, nil,
		[]any{&epoch.Number, &since, &epoch.Cause})
	epoch.Since = sinceOf(since)
	return epoch, err
}

// RaiseEpoch raises the doubt epoch by one, so that every device is in doubt, in one durable write with the audit entry. The cause
// is the action of the entry, and the time is the database's. It is not safe to repeat. The server that does it is the one that the
// database is used on from now on.
func (s *Store) RaiseEpoch(ctx context.Context, line otp.AuditEntry) error {
	const raise = `WITH at AS MATERIALIZED (SELECT ` + clock + ` AS now), written AS (
			UPDATE doubt_epoch SET (number, since, cause, system_identifier, timeline)
			= (SELECT number + 1, at.now, $1, identifier, timeline FROM at, (SELECT ` + thisServer + `) server) RETURNING since), ` +
		takeTurn + ` INSERT INTO audit (` + lineColumns + `)
		SELECT nextval('audit_id'), $2, since, $3, $4, $5, $1, $6, $7, 0 FROM written, turn`
	return s.exec(ctx, s.limits.others, "put every device in doubt", raise,
		line.Action, uuid.NewString(), string(line.Account), line.Caller, line.Transaction, string(line.Stage), line.Outcome)
}

// sinceOf returns the time at which an epoch was raised.
func sinceOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
