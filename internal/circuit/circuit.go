// Package circuit leaves a host alone that cannot be reached, and rations what is sent to it twice.
//
// It knows nothing of what is asked there, and sends nothing itself: whoever asks is let through or not, and says what it
// met. It must never be told that a host failed which answered, whatever the answer was: one caller's trouble would
// become that of all.
package circuit

import (
	"sync"
	"time"
)

// State is what a Breaker does with who asks.
type State int

// The states, in the order of how much they let through.
const (
	Closed  State = iota // all
	Probing              // one, to find out; the others are sent away
	Open                 // nobody, for a while
)

// Breaker counts the times in a row that a host could not be reached. It is safe for concurrent use.
type Breaker struct {
	limit int
	rest  time.Duration
	heard func(State)

	mu     sync.Mutex
	state  State
	faults int       // in a row
	until  time.Time // while Open: nobody before this
	probe  *Pass     // while Probing
}

// NewBreaker gives one that leaves the host alone for rest when it could not be reached limit times in a row; a limit of 0
// never does. heard is told of every change, in order; it must not block or ask the Breaker. It may be nil.
func NewBreaker(limit int, rest time.Duration, heard func(State)) *Breaker {
	if heard == nil {
		heard = func(State) {}
	}
	return &Breaker{limit: limit, rest: rest, heard: heard}
}

// whileProbing is what those are told to wait who come while another finds out.
const whileProbing = time.Second

// Enter lets one through, who leaves by the Pass; or it gives no Pass, and when it is worth asking again. A lone one who
// asks then is let through.
func (b *Breaker) Enter() (pass *Pass, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pass = &Pass{breaker: b}
	switch b.state {
	case Closed:
	case Probing:
		return nil, whileProbing
	case Open:
		if wait := time.Until(b.until); wait > 0 {
			return nil, wait
		}
		b.probe = pass
		b.change(Probing)
	}
	return pass, 0
}

func (b *Breaker) change(to State) {
	if b.state != to {
		b.state = to
		b.heard(to)
	}
}

// open is for who has the lock.
func (b *Breaker) open(rest time.Duration) {
	b.probe, b.until = nil, time.Now().Add(rest)
	b.change(Open)
}

// Pass is one who was let through.
type Pass struct{ breaker *Breaker }

// Answered says that the host answered, be it to refuse. It can be said often. Whoever says it, the host is there.
func (p *Pass) Answered() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults, b.probe = 0, nil
	b.change(Closed)
}

// Failed says that the host could not be reached, or broke off, or was late. It can be said often. While the host is left
// alone or probed, those who came before say nothing new.
func (p *Pass) Failed() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == Closed:
		if b.faults++; b.limit > 0 && b.faults >= b.limit {
			b.open(b.rest)
		}
	case b.probe == p:
		b.open(b.rest)
	}
}

// Leave ends the pass. A probe that has found out nothing makes way for the next.
func (p *Pass) Leave() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probe == p {
		b.open(0)
	}
}
