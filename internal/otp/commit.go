package otp

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// fetch returns the record as it is stored now, and sets the store's time. A missing record is an empty one of
// revision 0.
func (s *Service) fetch(ctx context.Context, c *conversation) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	row, now, err := s.store.Fetch(ctx, c.request.Account)
	if !now.IsZero() {
		c.storeTimeAt = c.clock()
		c.storeTime = s.clock.Look(c.storeTimeAt, now)
	}
	c.seen = row.Body
	if errors.Is(err, ErrNotFound) {
		row.Account, err = c.request.Account, nil
	}
	return c.tolerance.decode(Snapshot{Row: row, Fault: err}, &s.limits)
}

// write makes the record durable, with the audit entry of the stage.
func (s *Service) write(ctx context.Context, what Commit, w Write) error {
	return s.writeBefore(ctx, time.Now().Add(s.limits.StoreTimeout), what, w)
}

// writeBefore is write with a deadline of the caller, and no longer than for any write.
func (s *Service) writeBefore(ctx context.Context, until time.Time, what Commit, w Write) error {
	if longest := time.Now().Add(s.limits.StoreTimeout); until.After(longest) {
		until = longest
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	verb := s.store.Replace
	if w.Row.Revision == 1 {
		verb = s.store.Create
	}
	err := verb(ctx, w)
	s.observer.Committed(what, err)
	return err
}

// isKnown reports whether the error of a write, or its lack of one, says whether the store has it.
func isKnown(err error) bool {
	return err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) || errors.Is(err, ErrDeviceTaken)
}

// writeTries is how often a write whose outcome is unknown is repeated.
const writeTries = 3

// writeVerified repeats the write until it is known whether the store has it.
func (s *Service) writeVerified(ctx context.Context, what Commit, w Write) error {
	for tries := 1; ; tries++ {
		err := s.write(ctx, what, w)
		switch {
		case isKnown(err):
			return err
		case tries == writeTries || errors.Is(err, ErrNotApplied) || errors.Is(err, ErrBroken):
			return wrapCause(ErrStore, err)
		}
	}
}

// nextWriteID names the conversation's next write; a repeat of that write keeps its name.
func (c *conversation) nextWriteID() string {
	c.writes++
	return c.id + "/" + strconv.Itoa(c.writes)
}

// writeOf is the write of next over the record from under id, with its audit entry.
func (c *conversation) writeOf(id string, from, next Record, stage Stage, outcome string) (Write, error) {
	return writeOver(id, from, next, c.request.entry(c.action, c.now(), stage, outcome, next.Step))
}

// writeOver returns the write of next over the record from, with its audit entry.
func writeOver(id string, from, next Record, entry AuditEntry) (Write, error) {
	same := next.hasSecretsOf(from)
	row, err := encode(next, same)
	w := Write{ID: id, Row: row, SameSecrets: same, AuditEntry: entry}
	if claim := next.claim(); claim != from.claim() || next.Revision == 1 || from.damaged {
		w.Claim = &claim
	}
	if epoch := next.ownEpoch(); epoch != from.storedEpoch || next.Revision == 1 {
		w.Epoch = &epoch
	}
	return w, err
}

// entry returns the entry of the audit log for a stage of the call.
func (a Request) entry(action string, at time.Time, stage Stage, outcome string, step uint64) AuditEntry {
	return AuditEntry{
		At: at, Account: a.Account, Caller: a.Caller, Transaction: a.Transaction, Action: action, Stage: stage, Outcome: outcome,
		Step: step,
	}
}

// appendAudit appends an entry of the conversation to the audit log that comes with no write of the record.
func (s *Service) appendAudit(ctx context.Context, c *conversation, stage Stage, word string) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	err := s.store.AppendAudit(ctx, []AuditEntry{{
		Account: c.request.Account, Caller: c.request.Caller, Transaction: c.request.Transaction, Action: c.action, Stage: stage, Outcome: word,
		Step: c.record.Step,
	}})
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	return nil
}

// refused returns the error of a call that is refused with cause and so writes nothing itself. Where a stamp was ahead, it makes
// the corrected record durable first: otherwise each call would begin the wait again. When the store fails, that is the error,
// because the wait that cause names would not hold.
func (s *Service) refused(ctx context.Context, c *conversation, found, corrected Record, wasAhead bool, cause error) error {
	if !wasAhead || found.Revision == 0 {
		return cause
	}
	w, err := correction(c.nextWriteID(), found, corrected, c.request.entry(c.action, c.now(), StageOutcome, outcomeClock, found.Step))
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	w.Over = c.seen
	if err := s.writeVerified(ctx, CommitAdmin, w); err != nil {
		return err
	}
	return cause
}

// correction returns the write of the record with its corrected stamps.
func correction(id string, found, corrected Record, entry AuditEntry) (Write, error) {
	corrected.Revision++
	return writeOver(id, found, corrected, entry)
}
