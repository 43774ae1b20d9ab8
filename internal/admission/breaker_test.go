package admission_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/admission"
)

const (
	limit       = 3
	openTimeout = 5 * time.Second
)

// observed is a breaker, and the states that it went through.
type observed struct {
	*admission.Breaker
	states []admission.State
}

func newBreaker() *observed {
	h := &observed{}
	h.Breaker = admission.NewBreaker(limit, openTimeout, func(s admission.State) { h.states = append(h.states, s) })
	return h
}

func (h *observed) mustAcquire(t *testing.T) *admission.Permit {
	t.Helper()
	permit, wait := h.Acquire()
	if permit == nil {
		t.Fatalf("sent away for %v", wait)
	}
	return permit
}

func (h *observed) fail(t *testing.T, times int) {
	t.Helper()
	for range times {
		permit := h.mustAcquire(t)
		permit.Failure()
		permit.Release()
	}
}

func (h *observed) wantRefused(t *testing.T, want time.Duration) {
	t.Helper()
	if permit, wait := h.Acquire(); permit != nil || wait != want {
		t.Errorf("let through: %v; told to wait %v, want %v", permit != nil, wait, want)
	}
}

func TestItOpensAndProbesAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		b.fail(t, limit)
		b.wantRefused(t, openTimeout)
		time.Sleep(openTimeout - time.Second)
		b.wantRefused(t, time.Second)
		time.Sleep(time.Second)
		probe := b.mustAcquire(t)
		b.wantRefused(t, time.Second)
		probe.Failure()
		b.wantRefused(t, openTimeout)
		time.Sleep(openTimeout)
		probe = b.mustAcquire(t)
		probe.Success()
		b.mustAcquire(t)
		want := []admission.State{admission.Open, admission.HalfOpen, admission.Open, admission.HalfOpen, admission.Closed}
		if !slices.Equal(b.states, want) {
			t.Errorf("it went through %v, want %v", b.states, want)
		}
		b.fail(t, limit-1) // it counts again
	})
}

func TestOnlyFaultsInARowCount(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	for range 10 {
		b.fail(t, limit-1)
		b.mustAcquire(t).Success()
		b.mustAcquire(t).Release() // says nothing
	}
	if len(b.states) > 0 {
		t.Errorf("it went through %v", b.states)
	}
}

// A probe that ends without a verdict, as one that its account's guard refused, makes way for another.
func TestAProbeWithoutAVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		b.fail(t, limit)
		time.Sleep(openTimeout)
		b.mustAcquire(t).Release()
		probe := b.mustAcquire(t)
		b.wantRefused(t, time.Second)
		probe.Success()
		probe.Release()
		b.mustAcquire(t)
	})
}

// Of those who were let through before it opened, a fault is no news, and an answer is.
func TestThoseWhoCameBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		old, older := b.mustAcquire(t), b.mustAcquire(t)
		b.fail(t, limit)
		time.Sleep(openTimeout - time.Second)
		old.Failure()
		b.wantRefused(t, time.Second)
		time.Sleep(time.Second)
		b.mustAcquire(t)
		old.Failure()
		old.Release()
		b.wantRefused(t, time.Second)
		older.Success()
		b.mustAcquire(t)
	})
}

func TestALimitOfNothingNeverOpens(t *testing.T) {
	t.Parallel()
	b := admission.NewBreaker(0, openTimeout, func(admission.State) {})
	for range 100 {
		permit, _ := b.Acquire()
		if permit == nil {
			t.Fatal("sent away")
		}
		permit.Failure()
	}
}

// Whatever happens, repeats are at most the stock and their share.
func TestTheBudgetIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.IntRange(0, 100).Draw(t, "percent")
		b := admission.NewBudget(percent)
		earned, spent := 0, 0
		for range rapid.IntRange(0, 500).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "earn") {
				b.Earn()
				earned++
			} else if b.Spend() {
				spent++
			}
		}
		most := 10 + earned*percent/100
		if percent == 0 {
			most = 0
		}
		if spent > most {
			t.Fatalf("%d repeats of %d at %d percent", spent, earned, percent)
		}
	})
}

func TestTheBudgetComesBack(t *testing.T) {
	t.Parallel()
	b := admission.NewBudget(10)
	for b.Spend() {
	}
	for range 9 {
		b.Earn()
	}
	if b.Spend() {
		t.Error("nine requests are good for a repeat")
	}
	b.Earn()
	if !b.Spend() || b.Spend() {
		t.Error("ten requests are good for one repeat")
	}
}
