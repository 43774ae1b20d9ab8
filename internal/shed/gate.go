// Package shed refuses what the service could not do in time, so that what it does stays quick: more calls at once than it
// has places for, and callers who send faster than they may.
//
// It knows nothing of what is asked. It must never let one caller's calls count against another's rate, and never remember
// more callers than a bounded number.
package shed

import (
	"context"
	"sync/atomic"
	"time"
)

// Gate bounds how many are inside, how many wait for a place, and how long. It is safe for concurrent use. A nil Gate lets
// everybody in.
type Gate struct {
	places   chan struct{}
	waiting  atomic.Int64
	most     int64
	patience time.Duration
}

// NewGate gives one with so many places, at least 1. At most waiting wait for one at a time, and none of them longer than
// patience.
func NewGate(places, waiting int, patience time.Duration) *Gate {
	return &Gate{places: make(chan struct{}, places), most: int64(waiting), patience: patience}
}

// Enter gives a place, which is free again after leave; or it says, at once when too many wait already, that there is none.
func (g *Gate) Enter(ctx context.Context) (leave func(), ok bool) {
	if g == nil {
		return func() {}, true
	}
	select {
	case g.places <- struct{}{}:
		return g.leave, true
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.most {
		return nil, false
	}
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return g.leave, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, false
}

func (g *Gate) leave() { <-g.places }
