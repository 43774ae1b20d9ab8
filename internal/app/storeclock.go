package app

import "time"

const (
	// clockTolerance is how far the store's clock may run ahead of the time that has passed between two looks.
	clockTolerance = 2 * time.Second
	// clockProbation is for how long a clock that has jumped ahead must go on from there until it is believed.
	clockProbation = 15 * time.Minute
)

// clockGuard compares the store's clock with the time that has passed in this process, so that a clock that runs ahead for
// a while removes nothing early. The zero value is ready for use.
type clockGuard struct {
	began    time.Time // of the first look, by this process
	here     time.Time // of the last look at which the store's clock was believed, by this process
	store    time.Time // and by the store
	distrust time.Time // since when the store's clock is not believed, by this process; zero: it is
}

// ahead returns by how much the store's clock must be taken to run ahead, from a look at both clocks at the same time. A
// clock that goes back is believed at once: what it is used for can only happen later for it.
func (g *clockGuard) ahead(here, store time.Time) time.Duration {
	if g.began.IsZero() {
		g.began, g.here, g.store = here, here, store
		return 0
	}
	ahead := store.Sub(g.store) - here.Sub(g.here)
	if ahead > clockTolerance {
		if g.distrust.IsZero() {
			g.distrust = here
		}
		if here.Sub(g.distrust) < clockProbation {
			return ahead
		}
	}
	g.here, g.store, g.distrust = here, store, time.Time{}
	return 0
}

// isProven reports whether the store's clock has been watched for long enough to remove what is kept for hours.
func (g *clockGuard) isProven(here time.Time) bool { return here.Sub(g.began) >= clockProbation }
