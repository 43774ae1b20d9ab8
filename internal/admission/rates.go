package admission

import (
	"sync"
	"time"
)

// remembered is how many callers a generation has; there are two of them.
const remembered = 8192

// Rates bounds how fast each caller may send. It is safe for concurrent use. Nil Rates bound nothing.
//
// It remembers those who sent last, two generations of them: a forgotten caller has been idle while thousands of others
// sent, and begins again.
type Rates struct {
	pace pace

	mu         sync.Mutex
	young, old map[string]time.Time // the bucket of each caller: when it is full
}

// NewRates lets each caller send so many a second, and burst at once after a pause. With a rate of 0 it returns nil.
func NewRates(perSecond, burst int) *Rates {
	if perSecond == 0 {
		return nil
	}
	interval := time.Second / time.Duration(perSecond)
	return &Rates{pace: pace{interval, time.Duration(burst) * interval}, young: map[string]time.Time{}}
}

// Allow counts one that the caller sends, and reports whether it may. What was too fast does not count: a caller who then
// sends nothing for a second may send again.
func (r *Rates) Allow(caller string) (ok bool) {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	full, known := r.young[caller]
	if !known {
		full = r.old[caller]
		if len(r.young) >= remembered {
			r.old, r.young = r.young, map[string]time.Time{}
		}
	}
	r.young[caller], ok = r.pace.take(full, time.Now())
	return ok
}
