package replicatest_test

import (
	"sync"
	"sync/atomic"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// The two requests of a round.
const (
	actionSetup    = "ActionSetup"
	actionFinalize = "ActionFinalize"
)

// moment is when inWebo can be made to wait.
type moment int

const (
	before moment = iota // it processes a request
	after                // it has, and before the answer leaves
)

// caught is a request that inWebo lets wait.
type caught struct {
	reached   <-chan struct{}
	processed <-chan struct{}
	release   func() // at the latest when the test ends
}

// catch makes inWebo wait at the next request of that action for the account's device.
func (w *harness) catch(when moment, action, account string) caught {
	reached, goOn, processed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var number atomic.Uint64
	wait := func(x inwebosim.Exchange) {
		if x.Action == action && x.ID == w.devices[account] && number.CompareAndSwap(0, x.Number) {
			close(reached)
			<-goOn
		}
	}
	hooks := inwebosim.Hooks{Before: wait, After: func(x inwebosim.Exchange) {
		if x.Number == number.Load() {
			close(processed)
		}
	}}
	if when == after {
		hooks.Before, hooks.After = nil, wait
	}
	w.inwebo.SetHooks(hooks)
	release := sync.OnceFunc(func() { close(goOn) })
	w.t.Cleanup(release)
	return caught{reached, processed, release}
}
