package pimsdtest

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// The two requests of a round, for Pause and faults.
const (
	ActionSetup    = "ActionSetup"
	ActionFinalize = "ActionFinalize"
)

// Pause stops the next request of that action at inWebo, when it is processed and not yet answered: reached is closed
// then. It goes on with release, at the latest when the test ends.
func (d *Daemon) Pause(action string) (reached <-chan struct{}, release func()) {
	return d.pause(action, 1)
}

// PauseAll is Pause for every request of that action from now on: reached is closed when the first of them is stopped,
// and release lets all go on, those that come later too.
func (d *Daemon) PauseAll(action string) (reached <-chan struct{}, release func()) {
	return d.pause(action, math.MaxInt64)
}

// pause stops so many requests.
func (d *Daemon) pause(action string, most int64) (reached <-chan struct{}, release func()) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var stopped atomic.Int64
	d.Inwebo.SetHooks(inwebosim.Hooks{After: func(x inwebosim.Exchange) {
		if x.Action != action {
			return
		}
		n := stopped.Add(1)
		if n == 1 {
			close(arrived)
		}
		if n <= most {
			<-goOn
		}
	}})
	release = sync.OnceFunc(func() { close(goOn) })
	d.tb.Cleanup(release)
	return arrived, release
}
