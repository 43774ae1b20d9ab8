package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// writeTask is a Replace that is sent with others.
type writeTask struct {
	write  otp.Write
	stored bool // false: it has to be sent alone, which finds out why
}

func accountOfWrite(t *writeTask) string { return string(t.write.Row.Account) }

const (
	// turnLock is the advisory lock that a write has from taking its id in the audit log until it is committed ("pimsaudi").
	turnLock = `8100125747126297705`

	// takeTurn waits for the lock when something was written.
	takeTurn = `turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(` + turnLock + `)
		FROM (SELECT FROM written LIMIT 1) one WHERE ` + ownSession + `)`

	// takeTurnAfterKept is takeTurn after the responses are stored: that may wait for a session which has locked one of them,
	// and all other writes, of all replicas, would wait for the lock meanwhile.
	takeTurnAfterKept = `turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(` + turnLock + `)
		FROM (SELECT FROM written LIMIT 1) one, (SELECT count(*) FROM kept) stored WHERE ` + ownSession + `)`

	// writeBatch stores the rows that fit, with their audit lines and responses, and returns their accounts. It passes over a
	// row that another session writes: no two batches wait for each other, and no row makes the others wait.
	writeBatch = `WITH new AS (
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::bigint[], $5::bytea[], $6::bytea[],
			$7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[],
			$16::integer[], $17::bytea[], $18::bigint[], $19::boolean[], $20::text[], $21::boolean[],
			$22::text[], $23::bigint[], $24::boolean[], $25::bytea[], $26::bytea[])
		AS new (account, revision, in_doubt, held_until, body, vault,
			write_id, at, line_account, caller, transaction_id, action, stage, outcome, step,
			unread_answers, over, epoch, disabled, serial, active,
			key, answered_at, is_otp, fingerprint, answer)
	), free AS (
		SELECT d.ctid AS place, d.account FROM new JOIN device d ON d.account = new.account AND d.revision = new.revision - 1
			AND (new.over IS NULL OR d.body = new.over)
		FOR UPDATE OF d SKIP LOCKED
	), written AS (
		UPDATE device d SET (revision, in_doubt, held_until, body, vault, unread_answers, epoch, disabled)
			= (new.revision, new.in_doubt, new.held_until, new.body, coalesce(new.vault, d.vault),
				coalesce(new.unread_answers, d.unread_answers), coalesce(new.epoch, d.epoch), coalesce(new.disabled, d.disabled))
		FROM free JOIN new USING (account) WHERE d.ctid = free.place RETURNING d.account
	), kept AS (
		INSERT INTO answer (` + answerColumns + `)
		SELECT account, key, answered_at, is_otp, fingerprint, answer FROM written JOIN new USING (account) WHERE key IS NOT NULL
		` + orReplaceAnswer + ` RETURNING 1
	), ` + takeTurnAfterKept + `, noted AS (
		INSERT INTO audit (` + lineColumns + `)
		SELECT nextval('audit_id'), write_id, at, line_account, caller, transaction_id, action, stage, outcome, step
		FROM turn, written JOIN new USING (account)
	) SELECT account FROM written`

	// writeOne is writeBatch for one row without a response, in which a lone caller has the server unpack no arrays.
	writeOne = `WITH free AS (
		SELECT ctid AS place FROM device WHERE account = $1 AND revision = $2 - 1 AND ($17::bytea IS NULL OR body = $17)
		FOR UPDATE SKIP LOCKED
	), written AS (
		UPDATE device d SET (revision, in_doubt, held_until, body, vault, unread_answers, epoch, disabled)
			= ($2, $3, $4, $5, coalesce($6, vault), coalesce($16, unread_answers), coalesce($18, epoch), coalesce($19, disabled))
		FROM free WHERE d.ctid = free.place RETURNING 1
	), ` + noteWrite
)

// sendWrites sends a batch of writes. Where the server refuses it, each is sent alone.
func (s *Store) sendWrites(batch []*job[writeTask]) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if j := batch[0]; len(batch) == 1 && j.task.write.Response == nil {
		s.sendWrite(ctx, j)
		return
	}
	var stored []string
	err := s.run(ctx, s.limits.batches, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, writeBatch, batchArgs(batch)...)
		if err == nil {
			stored, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	if isAnswer(err) && !isReadOnly(err) {
		return // one of them is at fault, and all were undone
	}
	jobs := map[string]*job[writeTask]{}
	for _, j := range batch {
		j.err = err
		jobs[accountOfWrite(&j.task)] = j
	}
	for _, account := range stored {
		jobs[account].task.stored = true
	}
}

// sendWrite is sendWrites for one write without a response.
func (s *Store) sendWrite(ctx context.Context, j *job[writeTask]) {
	w := &j.task.write
	args := writeArgs(*w)[:argsOfClaim]
	err := s.run(ctx, s.limits.batches, func(ctx context.Context, conn *pgx.Conn) error {
		result, err := conn.Exec(ctx, writeOne, args...)
		j.task.stored = err == nil && result.RowsAffected() == 1
		return err
	})
	if !isAnswer(err) || isReadOnly(err) {
		j.err = err
	}
}

// batchArgs returns the arguments of writeBatch: for each of the arguments of a write an array with the values of all writes.
func batchArgs(batch []*job[writeTask]) []any {
	columns := make([][]any, argsOfResponse+responseArgs)
	for _, j := range batch {
		for i, value := range writeArgs(j.task.write) {
			columns[i] = append(columns[i], value)
		}
	}
	args := make([]any, len(columns))
	for i, column := range columns {
		args[i] = column
	}
	return args
}
