package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// AppendAudit adds lines that come with no record, all of them or none. Their time is the database's, whatever they say.
func (s *Store) AppendAudit(ctx context.Context, lines []otp.AuditEntry) error {
	const note = `WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(` + turnLock + `) WHERE ` + ownSession + `)
		INSERT INTO audit (` + lineColumns + `)
		SELECT nextval('audit_id'), write_id, ` + clock + `, account, caller, transaction_id, action, stage, outcome, step
		FROM turn, unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[])
			WITH ORDINALITY AS new (write_id, account, caller, transaction_id, action, stage, outcome, step, n) ORDER BY n`
	var ids, accounts, callers, transactions, actions, stages, outcomes []string
	var steps []int64
	for _, l := range lines {
		ids, accounts, callers = append(ids, uuid.NewString()), append(accounts, string(l.Account)), append(callers, l.Caller)
		transactions, actions = append(transactions, l.Transaction), append(actions, l.Action)
		stages, outcomes, steps = append(stages, string(l.Stage)), append(outcomes, l.Outcome), append(steps, int64(l.Step))
	}
	return s.exec(ctx, s.limits.others, "note lines in the audit log", note,
		ids, accounts, callers, transactions, actions, stages, outcomes, steps)
}

// AuditAfter returns the lines of the audit log with an ID above the given one, in the order of IDs, at most limit. IDs are
// committed in their order: a caller that goes on after the last ID that it has seen misses none. Of a damaged line it
// returns what can be read, and the damage.
func (s *Store) AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error) {
	const after = `SELECT id, at, account, caller, transaction_id, action, stage, outcome, step FROM audit
		WHERE id > $1 ORDER BY id LIMIT $2`
	lines, err := query(ctx, s, s.limits.others, "read the audit log", scanLine, after, id, limit)
	if isDamage(err) {
		return s.auditPast(ctx, id, limit)
	}
	return lines, err
}

const (
	// lastAuditID is the last ID that the sequence has given, and 0 if there is none.
	lastAuditID = `(SELECT last_value - (NOT is_called)::integer FROM audit_id)`

	auditIDsLag = `SELECT coalesce(max(id) > ` + lastAuditID + `, false) FROM audit`
)

// raiseAuditIDs sees to it that later lines get IDs above those that are there: a database that has moved to another server
// may have come without the state of its sequence.
func raiseAuditIDs(ctx context.Context, tx pgx.Tx) error {
	const raise = `SELECT setval('audit_id', max(id)) FROM audit HAVING max(id) > ` + lastAuditID
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(`+turnLock+`)`)
	if err == nil {
		_, err = tx.Exec(ctx, raise)
	}
	return err
}

// checkAuditIDs is raiseAuditIDs for a new connection, if it is necessary.
func checkAuditIDs(ctx context.Context, conn *pgx.Conn) error {
	var lag bool
	err := conn.QueryRow(ctx, auditIDsLag).Scan(&lag)
	if hasCode(err, undefinedTable) || isDamage(err) { // the schema has not been brought up to date, or the last lines are damaged
		return nil
	}
	if err != nil || !lag {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return raiseAuditIDs(ctx, tx) })
}

func scanLine(row pgx.CollectableRow) (line otp.AuditRecord, err error) {
	var at, step int64
	err = row.Scan(&line.ID, &at, &line.Account, &line.Caller, &line.Transaction, &line.Action, &line.Stage, &line.Outcome, &step)
	line.At, line.Step = time.UnixMicro(at).UTC(), uint64(max(0, step))
	if step < 0 {
		line.Damage = fmt.Sprintf("the line cannot be read whole: its step is %d", step)
	}
	return line, err
}
