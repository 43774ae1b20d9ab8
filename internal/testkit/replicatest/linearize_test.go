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
	illegal := s.check(*histories, none)
	for more := 0; more < 10 && len(s.unsuccessful()) > 0; more++ { // they are random, and some verbs succeed rarely
		illegal = append(illegal, s.check(*histories, none)...)
	}
	close(ended)
	killer.Wait()
	t.Logf("%d histories or more, with so many successes: %v", *histories, s.successes)
	if never := s.unsuccessful(); len(never) > 0 {
		t.Errorf("no history has a success of %q", never)
	}
	for _, h := range illegal {
		t.Errorf("not linearizable:\n%v", h)
	}
}

// unsuccessful returns the verbs that have succeeded in no history so far.
func (s *site) unsuccessful() []verb {
	return slices.DeleteFunc(append(slices.Concat(often, rare), enrolled), func(v verb) bool { return s.successes[v] > 0 })
}

// The check finds each kind of stale read.
func TestPlantedStaleReadIsFound(t *testing.T) {
	const most = 400
	for _, plant := range []plant{staleStatus, staleRefusals, staleKeys, staleVersions, forgetResponses} {
		t.Run(string(plant), func(t *testing.T) {
			s := newSite(t, plant)
			if illegal := s.check(most, func(found int) bool { return found > 0 }); len(illegal) == 0 {
				t.Errorf("%d histories show nothing of it", most)
			}
		})
	}
}

// checkTime bounds the search for an order of one history.
const checkTime = time.Minute

// check runs so many histories, several at once, and returns those that are not linearizable. It ends early when enough says so of
// their number.
func (s *site) check(n int, enough func(found int) bool) (illegal []*history) {
	const atOnce = 8
	var workers sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex
	isEnough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return enough(len(illegal))
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
				switch porcupine.CheckOperationsTimeout(model(), h.operations(), checkTime) {
				case porcupine.Illegal:
					mu.Lock()
					illegal = append(illegal, h)
					mu.Unlock()
				case porcupine.Unknown:
					s.t.Errorf("no order is found within %v:\n%v", checkTime, h)
				case porcupine.Ok:
				}
			}
		})
	}
	workers.Wait()
	return illegal
}
