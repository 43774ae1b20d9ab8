package otp

import (
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
	doubts time.Duration // for how long Ahead holds at most
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

// IsProven reports whether the clock has been watched for long enough to remove what is kept for hours.
func (w *StoreClock) IsProven(here time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return here.Sub(w.began) >= ClockProbation
}

// At returns the reading that follows r when that much time has passed.
func (r ClockReading) At(passed time.Duration) ClockReading {
	r.Now = r.Now.Add(passed)
	if r.doubts -= passed; r.doubts <= 0 {
		return ClockReading{Now: r.Now}
	}
	return r
}

// Left returns how much is left of the life of something that began at that time of the store: zero or less when it is over. What
// began before the clock jumped ages by what has passed since. A time that is nearer to the clock as it runs now than to the clock
// as it ran before is from after the jump; some times are a little later than the clock that they came from.
func (r ClockReading) Left(began time.Time, life time.Duration) time.Duration {
	left := life - r.Now.Sub(began)
	if r.Ahead == 0 || began.After(r.from.Add(r.Ahead/2)) {
		return left
	}
	return min(left+r.Ahead, max(left, r.doubts))
}
