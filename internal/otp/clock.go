package otp

import (
	"slices"
	"sync"
	"time"
)

const (
	// ClockTolerance is how far the store's clock may run ahead of the time that has passed between two looks.
	ClockTolerance = 2 * time.Second
	// ClockProbation is for how long a clock that has jumped ahead must go on from there until it is believed.
	ClockProbation = 15 * time.Minute
)

// StoreClock compares the clock of a store with the time that passes in this process, so that a clock that runs ahead for a while
// makes nothing old that is not. It must never make anything last longer than ClockProbation because of that.
// The zero value is ready for use. It is safe for concurrent use.
type StoreClock struct {
	mu       sync.Mutex
	began    time.Time // of the first look, by this process
	here     time.Time // of the last look at which the store's clock was believed, by this process
	store    time.Time // and by the store
	distrust time.Time // since when the store's clock is not believed, by this process; zero: it is
	from     time.Time // the time of the store at that moment, if its clock had not jumped
}

// ClockReading is the time of a store, with what is known of its clock. The zero ClockReading with a Now is one of a clock that is right.
type ClockReading struct {
	Now time.Time
	// Ahead is by how much the clock must be taken to run ahead.
	Ahead time.Duration

	from   time.Time     // what the clock would have shown when it was first seen to run ahead
	doubts time.Duration // for how long Ahead counts at most; not at all if it is zero or less
}

// Look returns the reading of a store's time that has just arrived; here is the time of this process. A clock that goes back is
// believed at once: what it is used for can only happen later for it.
func (w *StoreClock) Look(here, store time.Time) ClockReading {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began.IsZero() {
		w.began, w.here, w.store = here, here, store
		return ClockReading{Now: store}
	}
	expected := w.store.Add(here.Sub(w.here))
	if ahead := store.Sub(expected); ahead > ClockTolerance {
		if w.distrust.IsZero() {
			w.distrust, w.from = here, expected
		}
		if doubts := ClockProbation - here.Sub(w.distrust); doubts > 0 {
			return ClockReading{Now: store, Ahead: ahead, from: w.from, doubts: doubts}
		}
	}
	w.here, w.store, w.distrust = here, store, time.Time{}
	return ClockReading{Now: store}
}

// Watched returns for how long the clock has been watched. Before the first look, it is not known whether the clock was right.
func (w *StoreClock) Watched(here time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return here.Sub(w.began)
}

// At returns the reading that follows r when that much time has passed.
func (r ClockReading) At(passed time.Duration) ClockReading {
	r.Now, r.doubts = r.Now.Add(passed), r.doubts-passed
	return r
}

// Left returns how much is left of the life of something that began at that time of the store: zero or less when it is over. What
// began before the clock jumped ages by what has passed since. A time that is nearer to the clock as it runs now than to the clock
// as it ran before is from after the jump; some times are a little later than the clock that they came from.
func (r ClockReading) Left(began time.Time, lifetime time.Duration) time.Duration {
	left := lifetime - r.Now.Sub(began)
	if r.Ahead == 0 || began.After(r.from.Add(r.Ahead/2)) {
		return left
	}
	return min(left+r.Ahead, max(left, r.doubts))
}

// MaxDeadline is the largest value that Limits.Deadline can have.
const MaxDeadline = 5 * time.Minute

// MaxLease is the longest time that a lease can last: that of an enrollment with MaxDeadline, and the margin. It does not
// depend on the settings of this process, because those are rolled out one replica at a time. A lease that ends later by the
// store's clock was taken while that clock was wrong, and is over.
const MaxLease = EnrollmentDeadlines*MaxDeadline + leaseMargin

// outcomeClock is the audit log's word for stamps that were corrected.
const outcomeClock = "stamps from the future were corrected"

// corrected returns r with every stamp that lies in the future of the store's clock set to now, and reports whether there
// was one. Such stamps are left behind by a clock that was wrong for a while. What they bind then ends after one setting.
func (r Record) corrected(now time.Time) (_ Record, wasAhead bool) {
	leaseAhead := r.LeasedAt(now) && r.Lease.Since.After(now)
	look := stampVisit{now: now}
	r.visitStamps(&look)
	if !leaseAhead && !look.wasAhead {
		return r, false
	}
	r = r.cloned()
	if leaseAhead { // its conversation may be under way, so it keeps its length
		r.Lease.Since, r.Lease.Until = now, now.Add(r.Lease.Until.Sub(r.Lease.Since))
	}
	r.visitStamps(&stampVisit{now: now, corrects: true})
	return r, true
}

// stampVisit looks at stamps, and sets those that are ahead to now if it corrects. It is no function that is passed on, so that the record
// stays on the stack.
type stampVisit struct {
	now      time.Time
	corrects bool
	wasAhead bool // one of the stamps was
}

// visit looks at a stamp that can rightly be as late as latest.
func (v *stampVisit) visit(stamp *time.Time, latest time.Time) {
	if !stamp.After(latest) {
		return
	}
	v.wasAhead = true
	if v.corrects {
		*stamp = v.now
	}
}

// visitStamps visits every stamp of the record.
func (r *Record) visitStamps(v *stampVisit) {
	v.visit(&r.Guard.WrongAt, v.now)
	for i := range r.Guard.Attempts {
		v.visit(&r.Guard.Attempts[i].At, v.now)
	}
	for i := range r.Quota.Issues {
		v.visit(&r.Quota.Issues[i].At, v.now.Add(MaxLease)) // an OTP has the latest time at which inWebo may count it
	}
	if r.Lease != nil && !r.LeasedAt(v.now) {
		v.visit(&r.Lease.Since, v.now)
		v.visit(&r.Lease.Until, v.now)
	}
	if r.Doubt != nil {
		v.visit(&r.Doubt.Since, v.now)
	}
	for i := range r.Unread {
		v.visit(&r.Unread[i].At, v.now)
	}
	if r.Device != nil {
		v.visit(&r.Device.EnrolledAt, v.now)
		v.visit(&r.Device.LastOTPAt, v.now)
	}
}

// cloned returns a record whose stamps can be changed without changing those of r.
func (r Record) cloned() Record {
	r.Guard.Attempts, r.Quota.Issues = slices.Clone(r.Guard.Attempts), slices.Clone(r.Quota.Issues)
	r.Unread = slices.Clone(r.Unread)
	r.Lease, r.Doubt, r.Device = clone(r.Lease), clone(r.Doubt), clone(r.Device)
	return r
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	copied := *p
	return &copied
}
