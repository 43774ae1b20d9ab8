package otp

import (
	"context"
	"slices"
	"time"
)

// MaxDeadline is the largest value that Limits.Deadline can have.
const MaxDeadline = 5 * time.Minute

// MaxLease is the longest time that a lease can last: that of an enrollment with MaxDeadline, and the margin. It does not
// depend on the settings of this process, because those are rolled out one replica at a time. A lease that ends later by the
// store's clock was taken while that clock was wrong, and is over.
const MaxLease = EnrolmentDeadlines*MaxDeadline + holdMargin

// outcomeClock is the audit log's word for stamps that were corrected.
const outcomeClock = "stamps from the future were corrected"

// corrected returns r with every stamp that lies in the future of the store's clock set to now, and reports whether there
// was one. Such stamps are left behind by a clock that was wrong for a while. What they bind then ends after one setting.
func (r Record) corrected(now time.Time) (_ Record, wasAhead bool) {
	leaseAhead := r.LeasedAt(now) && r.Hold.Since.After(now)
	wasAhead = leaseAhead
	r.visitStamps(now, func(stamp *time.Time, latest time.Time) { wasAhead = wasAhead || stamp.After(latest) })
	if !wasAhead {
		return r, false
	}
	r = r.cloned()
	if leaseAhead { // its conversation may be under way, so it keeps its length
		r.Hold.Since, r.Hold.Until = now, now.Add(r.Hold.Until.Sub(r.Hold.Since))
	}
	r.visitStamps(now, func(stamp *time.Time, latest time.Time) {
		if stamp.After(latest) {
			*stamp = now
		}
	})
	return r, true
}

// visitStamps calls visit for every stamp of the record, with the latest value that it can rightly have.
func (r *Record) visitStamps(now time.Time, visit func(stamp *time.Time, latest time.Time)) {
	visit(&r.Guard.WrongAt, now)
	for i := range r.Guard.Guesses {
		visit(&r.Guard.Guesses[i].At, now)
	}
	for i := range r.Quota.Units {
		visit(&r.Quota.Units[i].At, now.Add(MaxLease)) // a unit is as late as inWebo may count it
	}
	if r.Hold != nil && !r.LeasedAt(now) {
		visit(&r.Hold.Since, now)
		visit(&r.Hold.Until, now)
	}
	if r.Doubt != nil {
		visit(&r.Doubt.Since, now)
	}
	for i := range r.Unread {
		visit(&r.Unread[i].At, now)
	}
	if r.Device != nil {
		visit(&r.Device.EnrolledAt, now)
		visit(&r.Device.LastOTPAt, now)
	}
}

// cloned returns a record whose stamps can be changed without changing those of r.
func (r Record) cloned() Record {
	r.Guard.Guesses, r.Quota.Units = slices.Clone(r.Guard.Guesses), slices.Clone(r.Quota.Units)
	r.Unread = slices.Clone(r.Unread)
	r.Hold, r.Doubt, r.Device = clone(r.Hold), clone(r.Doubt), clone(r.Device)
	return r
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	copied := *p
	return &copied
}

// refused returns the error of a call that is refused with cause and so writes nothing itself. Where a stamp was ahead, it makes
// the corrected record durable first: otherwise each call would begin the wait again. When the store fails, that is the error,
// because the wait that cause names would not hold.
func (s *Service) refused(ctx context.Context, c *conversation, found, corrected Record, wasAhead bool, cause error) error {
	if !wasAhead || found.Revision == 0 {
		return cause
	}
	w, err := correction(c.nextWriteID(), found, corrected, c.ask.entry(c.action, c.now(), StageOutcome, outcomeClock, found.Step))
	if err != nil {
		return because(ErrStore, err)
	}
	w.Over = c.seen
	if err := s.writeVerified(ctx, CommitAmend, w); err != nil {
		return err
	}
	return cause
}

// correction returns the write of the record with its corrected stamps.
func correction(id string, found, corrected Record, entry Line) (Write, error) {
	corrected.Revision++
	return writeOver(id, found, corrected, entry)
}
