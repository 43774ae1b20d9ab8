package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

const (
	deviceColumns = `account, revision, in_doubt, held_until, body, vault, unread_answers, serial, active, epoch, disabled`
	listedColumns = deviceColumns + `, (SELECT number FROM doubt_epoch WHERE id = 1), (SELECT since FROM doubt_epoch WHERE id = 1)`
	formerColumns = `serial, account, revision, body`
	lineColumns   = `id, write_id, at, account, caller, transaction_id, action, stage, outcome, step`

	// noteWrite stores the audit line if the statement before it, named written, has stored the row.
	noteWrite = takeTurn + noteInTurn

	noteInTurn = ` INSERT INTO audit (` + lineColumns + `)
		SELECT nextval('audit_id'), $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM written, turn`

	// insertRow never has a $17: there is no row that it could replace.
	insertRow = `WITH written AS (
		INSERT INTO device (` + deviceColumns + `)
		SELECT $1, $2, $3, $4, $5, $6, $16, coalesce($20, ''), coalesce($21, false), coalesce($18, 1), coalesce($19, false)
		WHERE $17::bytea IS NULL
		ON CONFLICT (account) DO NOTHING RETURNING 1), `

	// updateRow leaves the claim as it is when $20 and $21 are null, the epoch when $18 is, and disabled when $19 is.
	// It replaces a row of any body when $17 is null.
	updateRow = `WITH written AS (
		UPDATE device SET (revision, in_doubt, held_until, body, vault, unread_answers, serial, active, epoch, disabled)
		= ($2, $3, $4, $5, coalesce($6, vault), coalesce($16, unread_answers), coalesce($20, serial), coalesce($21, active),
			coalesce($18, epoch), coalesce($19, disabled))
		WHERE account = $1 AND revision = $2 - 1 AND ($17::bytea IS NULL OR body = $17) RETURNING 1), former AS (` + keepFormer + `), `

	// keepFormer keeps what the row that is written over has counted of its device, when the write claims another one.
	keepFormer = `INSERT INTO former_device (` + formerColumns + `)
		SELECT d.serial, d.account, d.revision, d.body FROM written, device d
		WHERE d.account = $1 AND d.revision = $2 - 1 AND d.serial NOT IN ('', $20)
		ON CONFLICT (serial, account) DO UPDATE SET (revision, body) = (excluded.revision, excluded.body)`

	createRow  = insertRow + noteWrite
	replaceRow = updateRow + noteWrite

	// The same with the response to keep.
	createAndKeep  = insertRow + keepBeside
	replaceAndKeep = updateRow + keepBeside

	keepBeside = `kept AS (` + keepAnswer + `), ` + takeTurnAfterKept + noteInTurn

	writeBefore = `SELECT EXISTS (SELECT 1 FROM audit WHERE write_id = $1),
		coalesce((SELECT revision FROM device WHERE account = $2), 0)`
)

// Create is as otp.Store says.
func (s *Store) Create(ctx context.Context, w otp.Write) error {
	if w.Row.Revision != 1 {
		return errors.New("the first row of an account has revision 1")
	}
	statement := createRow
	if w.Response != nil {
		statement = createAndKeep
	}
	w.Over = nil
	return s.write(ctx, s.limits.writes, "store the first record of an account", statement, w, otp.ErrExists)
}

// Replace is as otp.Store says. The row is written together with others, unless that does not store it.
func (s *Store) Replace(ctx context.Context, w otp.Write) error {
	const what = "store the record of an account"
	if w.Row.Revision < 2 {
		return otp.ErrConflict // there is no row of revision 0
	}
	if err := w.Check(); err != nil {
		return err
	}
	if w.Claim == nil { // which may be another account's, and then all others would be undone
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		task, err := s.writes.do(ctx, writeTask{write: w})
		if err != nil || task.stored {
			return describe(what, err)
		}
	}
	if w.Response == nil {
		return s.write(ctx, s.limits.singles, what, replaceRow, w, otp.ErrConflict)
	}
	err := s.write(ctx, s.limits.singles, what, replaceAndKeep, w, otp.ErrConflict)
	if cannotStore(err) { // the response perhaps, without which the answer of inWebo must be stored
		w.Response = nil
		return s.write(ctx, s.limits.singles, what, replaceRow, w, otp.ErrConflict)
	}
	return err
}

// write runs the one statement of a writing verb. refusal is the answer to a write that does not fit.
func (s *Store) write(ctx context.Context, l connLimit, what, statement string, w otp.Write, refusal error) error {
	if err := w.Check(); err != nil {
		return err
	}
	args := writeArgs(w)
	if w.Response == nil {
		args = args[:argsOfResponse]
	}
	lines, err := s.execAfterHistory(ctx, l, what, w, statement, args...)
	switch {
	case errors.Is(err, otp.ErrHistoryChanged):
		return s.unlessRepeated(ctx, what, w, otp.ErrHistoryChanged)
	case isTaken(err):
		return s.unlessRepeated(ctx, what, w, otp.ErrDeviceTaken)
	case isRepeated(err):
		return s.unlessRepeated(ctx, what, w, refusal)
	case err != nil:
		return err
	case lines == 1:
		return nil
	default:
		return s.unlessRepeated(ctx, what, w, refusal)
	}
}

// The arguments of the statements that store a write: those of the row and of its audit line, of the claim, and of the response.
const (
	argsOfClaim    = 19 // how many are before
	argsOfResponse = 21
	responseArgs   = 5
)

// writeArgs returns the arguments. What a write leaves as it is stored is null, and so is all of a response that it does not have.
func writeArgs(w otp.Write) []any {
	line := w.AuditEntry
	args := []any{
		string(w.Row.Account), w.Row.Revision, w.Row.InDoubt, microsOrNull(w.Row.LeasedUntil), nonNil(w.Row.Body), nonNil(w.Row.Secrets.Reveal()),
		w.ID, line.At.UnixMicro(), string(line.Account), line.Caller, line.Transaction, line.Action, string(line.Stage), line.Outcome,
		line.Step, w.Row.UnreadAnswers, overOf(w), w.Epoch, w.Disabled,
	}
	if w.SameSecrets {
		args[5], args[15] = nil, nil
	}
	if w.Claim != nil {
		args = append(args, w.Claim.Serial, w.Claim.Active)
	} else {
		args = append(args, nil, nil)
	}
	if k := w.Response; k != nil {
		return append(args, k.Key, k.At.UnixMicro(), k.IsOTP, k.Fingerprint, k.Answer.Reveal())
	}
	return append(args, make([]any, responseArgs)...)
}

// unlessRepeated finds out why a write does not fit: it is stored already, which is well, or it is refused. It looks
// with a snapshot of its own: that of the write may be older than what it waited for.
func (s *Store) unlessRepeated(ctx context.Context, what string, w otp.Write, refusal error) error {
	var known bool
	var revision uint64
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.run(ctx, s.limits.writes, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, writeBefore, w.ID, string(w.Row.Account)).Scan(&known, &revision)
	})
	if err != nil {
		return fmt.Errorf("%s: whether it is stored already is not known: %w", what, explain(err))
	}
	if !known || revision < w.Row.Revision { // the row may have gone back behind a write that it had
		return refusal
	}
	if err := s.waitForReplication(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// waitForReplication returns when all that was visible is durable, on the synchronous standbys too: a session that stops waiting for a
// write makes it visible before they have it. They take writes in their order, and so have it when they have another. The
// error never says that the write is untouched.
func (s *Store) waitForReplication(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.run(ctx, s.limits.writes, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, probe)
		return err
	})
	if err != nil {
		return fmt.Errorf("it is stored, and whether that is durable is not known: %w", explain(err))
	}
	return nil
}

func microsOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	micros := t.UnixMicro()
	return &micros
}

func timeOrZero(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return time.UnixMicro(*micros).UTC()
}

// nonNil is b, which PostgreSQL would take for NULL if it were nil.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// overOf returns the body that the write replaces, or nil when that is not compared: the body of a damaged row is listed as empty,
// and PostgreSQL cannot even compare it.
func overOf(w otp.Write) []byte {
	if len(w.Over) == 0 {
		return nil
	}
	return w.Over
}
