package admission

import (
	"sync"
	"time"
)

// Limiter lets through a burst at once, and after that one in each interval. It is safe for concurrent use.
type Limiter struct {
	pace pace

	mu   sync.Mutex
	full time.Time
}

// NewLimiter returns a Limiter that lets the whole burst through at once.
func NewLimiter(interval time.Duration, burst int) *Limiter {
	return &Limiter{pace: pace{interval, time.Duration(burst) * interval}}
}

// Allow reports whether one more may pass, and counts it if so.
func (l *Limiter) Allow() (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full, ok = l.pace.take(l.full, time.Now())
	return ok
}

// pace is how fast a token bucket fills. The bucket itself is the time at which it is full.
type pace struct {
	interval time.Duration // between two tokens
	capacity time.Duration // all tokens, as the time in which an empty bucket fills
}

// take takes a token from the bucket, and reports false where there is none.
func (p pace) take(full, now time.Time) (time.Time, bool) {
	if full.Before(now) {
		full = now
	}
	after := full.Add(p.interval)
	if after.Sub(now) > p.capacity {
		return full, false
	}
	return after, true
}
