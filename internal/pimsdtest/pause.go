package pimsdtest

import (
	"sync"
	"sync/atomic"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// The two requests of a round, for Pause and nuisances.
const (
	ActionSetup    = "ActionSetup"
	ActionFinalize = "ActionFinalize"
)

// Pause stops the next request of that action at inWebo, when it is processed and not yet answered: reached is closed
// then. It goes on with release, at the latest when the test ends.
func (d *Daemon) Pause(action string) (reached <-chan struct{}, release func()) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var stopped atomic.Bool
	d.Inwebo.SetHooks(inwebosim.Hooks{After: func(x inwebosim.Exchange) {
		if x.Action == action && stopped.CompareAndSwap(false, true) {
			close(arrived)
			<-goOn
		}
	}})
	release = sync.OnceFunc(func() { close(goOn) })
	d.tb.Cleanup(release)
	return arrived, release
}
