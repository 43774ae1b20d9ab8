// Package admission refuses work that would not end well in time, so that the rest stays quick: more calls at once than there are
// places for, callers that send faster than they may, and calls to a host that cannot be reached.
//
// It knows nothing of the work, and does none itself. It must never let one caller's calls count against another's rate, never let
// one caller or one account take all places, and never remember more callers than a bounded number.
package admission

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Gate bounds how many calls are inside, how many wait for a place, and how long. A caller and an account may have a
// share of the free places, and the same share of the free room for waiting, so that some are left for others. It is
// safe for concurrent use. A nil Gate admits every call.
type Gate struct {
	timeout time.Duration

	mu      sync.Mutex
	inside  places
	waiting places
	queue   []*waiter // oldest first
}

// waiter is a call that waits for a place.
type waiter struct {
	call     Call
	admitted chan struct{} // closed when it has one
}

// NewGate returns a gate with that many places, at least 1. At most waiting calls wait for one at a time, and none of
// them longer than the timeout.
func NewGate(inFlight, waiting int, timeout time.Duration) *Gate {
	return &Gate{timeout: timeout, inside: newPlaces(inFlight), waiting: newPlaces(waiting)}
}

// Acquire takes a place for the call, which leave gives back. It waits for one when there is none that the call may
// have. ok is false when the call has to be refused: at once when too many wait already, or when none became free in time.
func (g *Gate) Acquire(ctx context.Context, call Call) (release func(), ok bool) {
	if g == nil {
		return func() {}, true
	}
	w, ok := g.join(call)
	if !ok || w != nil && !g.wait(ctx, w) {
		return nil, false
	}
	return sync.OnceFunc(func() { g.release(call) }), true
}

// join admits the call, or puts it into the queue: then it returns the waiter. ok is false when it can do neither.
func (g *Gate) join(call Call) (w *waiter, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside.admit(call) {
		return nil, true
	}
	if !g.waiting.admit(call) {
		return nil, false
	}
	w = &waiter{call: call, admitted: make(chan struct{})}
	g.queue = append(g.queue, w)
	return w, true
}

// wait waits until the waiter is admitted. It returns false when that took too long, or ctx ended.
func (g *Gate) wait(ctx context.Context, w *waiter) bool {
	timer := time.NewTimer(g.timeout)
	defer timer.Stop()
	select {
	case <-w.admitted:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return !g.abandon(w)
}

// abandon takes a waiter out of the queue. It returns false when the waiter was admitted meanwhile.
func (g *Gate) abandon(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.queue, w)
	if at < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, at, at+1)
	g.waiting.release(w.call)
	return true
}

// release returns a place back and admits the waiters that may have one now, in the order of their arrival. Nothing else
// frees a place or makes a share larger, so no call waits for a place that it could have.
func (g *Gate) release(call Call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside.release(call)
	g.queue = slices.DeleteFunc(g.queue, func(w *waiter) bool {
		if !g.inside.admit(w.call) {
			return false
		}
		g.waiting.release(w.call)
		close(w.admitted)
		return true
	})
}
