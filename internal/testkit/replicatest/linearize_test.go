package replicatest_test

import (
	"flag"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

var histories = flag.Int("histories", 60, "how many random histories are checked")

// What callers of two replicas see could have happened one call after the other.
func TestLinearizability(t *testing.T) {
	s := newSite(t, nothingPlanted)
	var killer sync.WaitGroup
	ended := make(chan struct{})
	killer.Go(func() { s.endSessions(ended) })
	none := func(int) bool { return false }
	found := s.check(*histories, time.Minute, none)
	for more := 0; more < 10 && len(s.unsuccessful()) > 0; more++ { // they are random, and some verbs succeed rarely
		also := s.check(*histories, time.Minute, none)
		found = verdicts{append(found.illegal, also.illegal...), append(found.undecided, also.undecided...)}
	}
	close(ended)
	killer.Wait()
	t.Logf("%d histories or more, with so many successes: %v", *histories, s.successes)
	if never := s.unsuccessful(); len(never) > 0 {
		t.Errorf("no history has a success of %q", never)
	}
	for _, h := range found.illegal {
		t.Errorf("not linearizable:\n%v", h)
	}
	for _, h := range found.undecided {
		t.Errorf("no order is found in time:\n%v", h)
	}
}

// unsuccessful returns the verbs that have succeeded in no history so far.
func (s *site) unsuccessful() []verb {
	return slices.DeleteFunc(append(slices.Concat(often, rare), enrolled), func(v verb) bool { return s.successes[v] > 0 })
}

// The check finds each kind of stale read, though to search all orders of a history that has none can take too long.
func TestPlantedStaleReadIsFound(t *testing.T) {
	const most = 400
	for _, plant := range []plant{staleStatus, staleRefusals, staleKeys, staleVersions, forgetResponses} {
		t.Run(string(plant), func(t *testing.T) {
			s := newSite(t, plant)
			found := s.check(most, 5*time.Second, func(illegal int) bool { return illegal > 0 })
			if len(found.illegal) == 0 {
				t.Errorf("%d histories show nothing of it, and %d were not searched to their end", most, len(found.undecided))
			}
		})
	}
}

// verdicts are histories that are not linearizable, and those whose orders could not all be tried in time.
type verdicts struct{ illegal, undecided []*history }

// check runs so many histories, several at once, and searches an order of each, within the time. It ends early when enough says so of
// the number that have none.
func (s *site) check(n int, within time.Duration, enough func(illegal int) bool) (found verdicts) {
	const atOnce = 8
	var workers sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex
	isEnough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return enough(len(found.illegal))
	}
	for range atOnce {
		workers.Go(func() {
			for int(next.Add(1)) <= n && !isEnough() {
				h := newHistory(s)
				h.run()
				mu.Lock()
				h.count()
				mu.Unlock()
				if h.isOutdated { // the model knows no wrong keys
					next.Add(-1)
					continue
				}
				verdict := porcupine.CheckOperationsTimeout(model(), h.operations(), within)
				mu.Lock()
				found.add(verdict, h)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return found
}

func (v *verdicts) add(verdict porcupine.CheckResult, h *history) {
	switch verdict {
	case porcupine.Illegal:
		v.illegal = append(v.illegal, h)
	case porcupine.Unknown:
		v.undecided = append(v.undecided, h)
	case porcupine.Ok:
	}
}
