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
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::bigint[], $5::bytea[], $6::bytea[], $7::integer[],
			$8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[],
			$17::text[], $18::bigint[], $19::boolean[], $20::bytea[], $21::bytea[], $22::bytea[], $23::bigint[], $24::boolean[])
		AS new (account, revision, in_doubt, held_until, body, vault, unread_answers,
			write_id, at, line_account, caller, transaction_id, action, stage, outcome, step,
			key, answered_at, is_otp, fingerprint, answer, over, epoch, disabled)
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
	args := writeArgs(batch)
	var stored []string
	err := s.run(ctx, s.limits.batches, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, writeBatch, args...)
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
	args := append(rowArgs(w), overOf(*w), w.Epoch, w.Disabled)
	err := s.run(ctx, s.limits.batches, func(ctx context.Context, conn *pgx.Conn) error {
		result, err := conn.Exec(ctx, writeOne, args...)
		j.task.stored = err == nil && result.RowsAffected() == 1
		return err
	})
	if !isAnswer(err) || isReadOnly(err) {
		j.err = err
	}
}

// writeArgs returns the arguments of writeBatch: for each column an array with a value for each write.
func writeArgs(batch []*job[writeTask]) []any {
	var (
		accounts, ids, lineAccounts, callers, transactions, actions, stages, outcomes []string
		revisions, ats, steps                                                         []int64
		doubts                                                                        []bool
		until, answeredAt                                                             []*int64
		bodies, vaults, fingerprints, answers, overs                                  [][]byte
		unread                                                                        []*int32
		keys                                                                          []*string
		areOTPs                                                                       []*bool
		epochs                                                                        []*uint64
		disabled                                                                      []*bool
	)
	for _, j := range batch {
		w := &j.task.write
		accounts, revisions = append(accounts, string(w.Row.Account)), append(revisions, int64(w.Row.Revision))
		doubts, until = append(doubts, w.Row.InDoubt), append(until, microsOrNull(w.Row.LeasedUntil))
		bodies, overs = append(bodies, nonNil(w.Row.Body)), append(overs, overOf(*w))
		if w.SameSecrets {
			vaults, unread = append(vaults, nil), append(unread, nil)
		} else {
			count := int32(w.Row.UnreadAnswers)
			vaults, unread = append(vaults, nonNil(w.Row.Secrets.Reveal())), append(unread, &count)
		}
		epochs, disabled = append(epochs, w.Epoch), append(disabled, w.Disabled)
		l := &w.AuditEntry
		ids, ats = append(ids, w.ID), append(ats, l.At.UnixMicro())
		lineAccounts, callers = append(lineAccounts, string(l.Account)), append(callers, l.Caller)
		transactions, actions = append(transactions, l.Transaction), append(actions, l.Action)
		stages, outcomes, steps = append(stages, string(l.Stage)), append(outcomes, l.Outcome), append(steps, int64(l.Step))
		if k := w.Response; k != nil {
			at := k.At.UnixMicro()
			keys, answeredAt, areOTPs = append(keys, &k.Key), append(answeredAt, &at), append(areOTPs, &k.IsOTP)
			fingerprints, answers = append(fingerprints, k.Fingerprint), append(answers, k.Answer.Reveal())
		} else {
			keys, answeredAt, areOTPs = append(keys, nil), append(answeredAt, nil), append(areOTPs, nil)
			fingerprints, answers = append(fingerprints, nil), append(answers, nil)
		}
	}
	return []any{
		accounts, revisions, doubts, until, bodies, vaults, unread,
		ids, ats, lineAccounts, callers, transactions, actions, stages, outcomes, steps,
		keys, answeredAt, areOTPs, fingerprints, answers, overs, epochs, disabled,
	}
}
