package admission

import (
	"sync"

	"golang.org/x/time/rate"
)

// remembered is how many callers a generation has; there are two of them.
const remembered = 8192

// Rates bounds how fast each caller may send. It is safe for concurrent use. Nil Rates bound nothing.
//
// It remembers those who sent last, two generations of them: a forgotten caller has been idle while thousands of others
// sent, and begins again.
type Rates struct {
	each  rate.Limit
	burst int

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

// NewRates lets each caller send so many a second, and burst at once after a pause. With a rate of 0 it returns nil.
func NewRates(perSecond, burst int) *Rates {
	if perSecond == 0 {
		return nil
	}
	return &Rates{each: rate.Limit(perSecond), burst: burst, young: map[string]*rate.Limiter{}}
}

// Allow counts one that the caller sends, and reports whether it may. What was too fast does not count: a caller who then
// sends nothing for a second may send again.
func (r *Rates) Allow(caller string) (ok bool) {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of(caller).Allow()
}

// of returns the caller's limiter.
func (r *Rates) of(caller string) *rate.Limiter {
	limiter := r.young[caller]
	if limiter != nil {
		return limiter
	}
	if limiter = r.old[caller]; limiter == nil {
		limiter = rate.NewLimiter(r.each, r.burst)
	}
	if len(r.young) >= remembered {
		r.old, r.young = r.young, map[string]*rate.Limiter{}
	}
	r.young[caller] = limiter
	return limiter
}
