package otp

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// fetch returns the record as it is stored now. It sets what fetchRow sets. A missing record is an empty one of revision 0.
func (s *Service) fetch(ctx context.Context, c *conversation) (Record, error) {
	row, err := s.fetchRow(ctx, c)
	return c.tolerance.decode(Snapshot{Row: row, Fault: err}, &s.limits)
}

// fetchRow returns the row as it is stored now; the row of an account that has none has revision 0. It sets the conversation's storeTime,
// and its fetchedBody for a write over this row.
func (s *Service) fetchRow(ctx context.Context, c *conversation) (Row, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	row, now, err := s.store.Fetch(ctx, c.request.Account)
	if !now.IsZero() {
		c.storeTimeAt = c.clock()
		c.storeTime = s.clock.Look(c.storeTimeAt, now)
	}
	c.fetchedBody = row.Body
	if errors.Is(err, ErrNotFound) {
		row.Account, err = c.request.Account, nil
	}
	return row, err
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

// isConclusive reports whether the result of a write, an error or nil, says whether the store has the write: see Store.
func isConclusive(err error) bool {
	return err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) || errors.Is(err, ErrDeviceTaken) ||
		errors.Is(err, ErrHistoryChanged)
}

// writeTries is how often writeVerified tries a write.
const writeTries = 3

// writeVerified tries the write until it is known whether the store has it, and a few times at most. A try that the store says it did
// not apply is not repeated.
func (s *Service) writeVerified(ctx context.Context, what Commit, w Write) error {
	for tries := 1; ; tries++ {
		err := s.write(ctx, what, w)
		switch {
		case isConclusive(err):
			return err
		case tries == writeTries || errors.Is(err, ErrNotApplied) || errors.Is(err, ErrBroken):
			return wrapCause(ErrStore, err)
		}
	}
}

// nextWriteID returns an ID for the conversation's next write. A repeat of that write has the same ID.
func (c *conversation) nextWriteID() string {
	c.writes++
	return c.id + "/" + strconv.Itoa(c.writes)
}

// writeOf is writeOver with an audit entry of the conversation.
func (c *conversation) writeOf(id string, from, next *Record, stage Stage, outcome string) (Write, error) {
	return writeOver(id, from, next, c.request.entry(c.action, c.now(), stage, outcome, next.Step))
}

// writeOver returns the write of next over the record from, with its audit entry. The Write changes only what differs from the row of
// from; see Write.
func writeOver(id string, from, next *Record, entry AuditEntry) (w Write, err error) {
	if from.undecoded != nil {
		w = overUndecoded(*from.undecoded, next)
	} else if w, err = overDecoded(from, next); err != nil {
		return w, err
	}
	w.ID, w.AuditEntry = id, entry
	if next.Disabled != from.Disabled {
		disabled := next.Disabled
		w.Disabled = &disabled
	}
	return w, nil
}

// overDecoded returns the part of writeOver that is about the record itself.
func overDecoded(from, next *Record) (Write, error) {
	same := haveSameSecrets(from, next)
	row, err := encode(next, same)
	w := Write{Row: row, SameSecrets: same, History: next.inherited}
	isFirst := next.isFirst()
	// The claim on the serial follows from the record. That of a damaged record is not known, because its device could not be decoded.
	if claim := next.claim(); claim != from.claim() || isFirst || from.damaged {
		w.Claim = &claim
	}
	// The epoch that the row is to have is compared with the one that it has: they differ after the store's epoch was raised, and when
	// the account gets a device or loses it.
	if epoch := next.ownEpoch(); epoch != from.storedEpoch || isFirst {
		w.Epoch = &epoch
	}
	return w, err
}

// overUndecoded is overDecoded for a record that cannot be decoded, and whose body and secrets stay.
func overUndecoded(row Row, next *Record) Write {
	row.Revision, row.Secrets, row.Unopened = next.Revision, secret.Bytes{}, false
	if !row.LeasedUntil.IsZero() && next.Lease != nil { // its stamps may have been corrected
		row.LeasedUntil = next.Lease.Until
	}
	return Write{Row: row, SameSecrets: true}
}

// entry returns the entry of the audit log for a stage of the call.
func (a Request) entry(action string, at time.Time, stage Stage, outcome string, step uint64) AuditEntry {
	return AuditEntry{
		At: at, Account: a.Account, Caller: a.Caller, Transaction: a.Transaction, Action: action, Stage: stage, Outcome: outcome,
		Step: step,
	}
}

// appendAudit appends an entry of the conversation to the audit log without a write of the record. The store sets its At.
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

// refused returns the error of a call that is refused with cause and so writes nothing itself. Where a stamp of the found record was ahead
// of the clock, it makes the corrected record durable first: otherwise the wait that cause names would begin again with each call. When
// that write fails, refused returns its error instead of cause.
func (s *Service) refused(ctx context.Context, c *conversation, found, corrected Record, wasAhead bool, cause error) error {
	if !wasAhead || !found.isCorrectable() {
		return cause
	}
	w, err := correction(c.nextWriteID(), found, corrected, c.request.entry(c.action, c.now(), StageOutcome, outcomeClock, found.Step))
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	w.Over = c.fetchedBody
	if err := s.writeVerified(ctx, CommitAdmin, w); err != nil {
		return err
	}
	return cause
}

// isCorrectable reports whether a call that is refused may write the record with corrected stamps. What is left of a damaged record would
// be replaced by that, where it may still be repaired.
func (r *Record) isCorrectable() bool {
	return r.Revision > 0 && (!r.damaged || r.undecoded != nil)
}

// correction returns the write of the record with its corrected stamps.
func correction(id string, found, corrected Record, entry AuditEntry) (Write, error) {
	corrected.Revision++
	return writeOver(id, &found, &corrected, entry)
}
