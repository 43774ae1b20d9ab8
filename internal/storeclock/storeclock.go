// Package storeclock compares a store's clock with the time that passes in this process, so that a clock that runs ahead for a
// while makes nothing old that is not. It must never make anything last longer than Probation because of that.
package storeclock

import (
	"sync"
	"time"
)

const (
	// Tolerance is how far the store's clock may run ahead of the time that has passed between two looks.
	Tolerance = 2 * time.Second
	// Probation is for how long a clock that has jumped ahead must go on from there until it is believed.
	Probation = 15 * time.Minute
)

// Watch watches the clock of one store. The zero value is ready for use. It is safe for concurrent use.
type Watch struct {
	mu       sync.Mutex
	began    time.Time // of the first look, by this process
	here     time.Time // of the last look at which the store's clock was believed, by this process
	store    time.Time // and by the store
	distrust time.Time // since when the store's clock is not believed, by this process; zero: it is
	from     time.Time // the time of the store at that moment, if its clock had not jumped
}

// Reading is the time of a store, with what is known of its clock. The zero Reading with a Now is one of a clock that is right.
type Reading struct {
	Now time.Time
	// Ahead is by how much the clock must be taken to run ahead.
	Ahead time.Duration

	from   time.Time     // what the clock would have shown when it was first seen to run ahead
	doubts time.Duration // for how long Ahead holds at most
}

// Look returns the reading of a store's time that has just arrived; here is the time of this process. A clock that goes back is
// believed at once: what it is used for can only happen later for it.
func (w *Watch) Look(here, store time.Time) Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began.IsZero() {
		w.began, w.here, w.store = here, here, store
		return Reading{Now: store}
	}
	expected := w.store.Add(here.Sub(w.here))
	if ahead := store.Sub(expected); ahead > Tolerance {
		if w.distrust.IsZero() {
			w.distrust, w.from = here, expected
		}
		if doubts := Probation - here.Sub(w.distrust); doubts > 0 {
			return Reading{Now: store, Ahead: ahead, from: w.from, doubts: doubts}
		}
	}
	w.here, w.store, w.distrust = here, store, time.Time{}
	return Reading{Now: store}
}

// IsProven reports whether the clock has been watched for long enough to remove what is kept for hours.
func (w *Watch) IsProven(here time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return here.Sub(w.began) >= Probation
}

// At returns the reading that follows r when that much time has passed.
func (r Reading) At(passed time.Duration) Reading {
	r.Now = r.Now.Add(passed)
	if r.doubts -= passed; r.doubts <= 0 {
		return Reading{Now: r.Now}
	}
	return r
}

// Left returns how much is left of the life of something that began at that time of the store: zero or less when it is over. What
// began before the clock jumped ages by what has passed since. A time that is nearer to the clock as it runs now than to the clock
// as it ran before is from after the jump; some times are a little later than the clock that they came from.
func (r Reading) Left(began time.Time, life time.Duration) time.Duration {
	left := life - r.Now.Sub(began)
	if r.Ahead == 0 || began.After(r.from.Add(r.Ahead/2)) {
		return left
	}
	return min(left+r.Ahead, max(left, r.doubts))
}
