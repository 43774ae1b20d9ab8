package admission

import (
	"sync"
	"time"
)

// State is what a Breaker does with calls that ask for a permit.
type State int

// The states, in the order of how much they let through.
const (
	Closed   State = iota // every call
	HalfOpen              // one call, which finds out; the others are refused
	Open                  // no call, for the open timeout
)

// Breaker counts the times in a row that a host could not be reached, and refuses calls to it for a while when there were too many.
// It must never be told of a failure where the host answered, whatever the answer was: one caller's trouble would become that of
// all. It is safe for concurrent use.
type Breaker struct {
	limit       int
	openTimeout time.Duration
	observe     func(State)

	mu       sync.Mutex
	state    State
	failures int       // in a row
	until    time.Time // while Open: no call before this
	probe    *Permit   // while HalfOpen
}

// NewBreaker returns a breaker that is open for openTimeout when the host could not be reached limit times in a row; with a limit
// of 0 it never opens. It calls observe on every change, in order; observe must not block or use the Breaker.
func NewBreaker(limit int, openTimeout time.Duration, observe func(State)) *Breaker {
	return &Breaker{limit: limit, openTimeout: openTimeout, observe: observe}
}

// halfOpenWait is how long calls are told to wait while another call finds out whether the host answers.
const halfOpenWait = time.Second

// Acquire returns a permit, which the caller must release. Without one it returns nil and how long the caller should wait: a
// single call is let through then.
func (b *Breaker) Acquire() (permit *Permit, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	permit = &Permit{breaker: b}
	switch b.state {
	case Closed:
	case HalfOpen:
		return nil, halfOpenWait
	case Open:
		if wait := time.Until(b.until); wait > 0 {
			return nil, wait
		}
		b.probe = permit
		b.change(HalfOpen)
	}
	return permit, 0
}

func (b *Breaker) change(to State) {
	if b.state != to {
		b.state = to
		b.observe(to)
	}
}

// open opens the breaker. The caller must hold the lock.
func (b *Breaker) open(timeout time.Duration) {
	b.probe, b.until = nil, time.Now().Add(timeout)
	b.change(Open)
}

// Permit is a call that was let through.
type Permit struct{ breaker *Breaker }

// Success records that the host answered, even if it refused. It may be called several times, with any permit: the host is there.
func (p *Permit) Success() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.probe = 0, nil
	b.change(Closed)
}

// Failure records that the host could not be reached, or broke off, or was late. It may be called several times. While the breaker
// is not closed, permits from before say nothing new.
func (p *Permit) Failure() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == Closed:
		if b.failures++; b.limit > 0 && b.failures >= b.limit {
			b.open(b.openTimeout)
		}
	case b.probe == p:
		b.open(b.openTimeout)
	}
}

// Release ends the permit. A probe that has found out nothing makes way for the next one.
func (p *Permit) Release() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probe == p {
		b.open(0)
	}
}
