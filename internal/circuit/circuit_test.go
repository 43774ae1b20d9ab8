package circuit_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/circuit"
)

const (
	limit = 3
	rest  = 5 * time.Second
)

// heard is a breaker, and the states that it went through.
type heard struct {
	*circuit.Breaker
	states []circuit.State
}

func newBreaker() *heard {
	h := &heard{}
	h.Breaker = circuit.NewBreaker(limit, rest, func(s circuit.State) { h.states = append(h.states, s) })
	return h
}

func (h *heard) mustEnter(t *testing.T) *circuit.Pass {
	t.Helper()
	pass, wait := h.Enter()
	if pass == nil {
		t.Fatalf("sent away for %v", wait)
	}
	return pass
}

func (h *heard) fail(t *testing.T, times int) {
	t.Helper()
	for range times {
		pass := h.mustEnter(t)
		pass.Failed()
		pass.Leave()
	}
}

func (h *heard) wantAway(t *testing.T, want time.Duration) {
	t.Helper()
	if pass, wait := h.Enter(); pass != nil || wait != want {
		t.Errorf("let through: %v; told to wait %v, want %v", pass != nil, wait, want)
	}
}

func TestItOpensAndProbesAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		b.fail(t, limit)
		b.wantAway(t, rest)
		time.Sleep(rest - time.Second)
		b.wantAway(t, time.Second)
		time.Sleep(time.Second)
		probe := b.mustEnter(t)
		b.wantAway(t, time.Second)
		probe.Failed()
		b.wantAway(t, rest)
		time.Sleep(rest)
		probe = b.mustEnter(t)
		probe.Answered()
		b.mustEnter(t)
		want := []circuit.State{circuit.Open, circuit.Probing, circuit.Open, circuit.Probing, circuit.Closed}
		if !slices.Equal(b.states, want) {
			t.Errorf("it went through %v, want %v", b.states, want)
		}
		b.fail(t, limit-1) // it counts anew
	})
}

func TestOnlyFaultsInARowCount(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	for range 10 {
		b.fail(t, limit-1)
		b.mustEnter(t).Answered()
		b.mustEnter(t).Leave() // says nothing
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
		time.Sleep(rest)
		b.mustEnter(t).Leave()
		probe := b.mustEnter(t)
		b.wantAway(t, time.Second)
		probe.Answered()
		probe.Leave()
		b.mustEnter(t)
	})
}

// Of those who were let through before it opened, a fault is no news, and an answer is.
func TestThoseWhoCameBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		old, older := b.mustEnter(t), b.mustEnter(t)
		b.fail(t, limit)
		time.Sleep(rest - time.Second)
		old.Failed()
		b.wantAway(t, time.Second)
		time.Sleep(time.Second)
		b.mustEnter(t)
		old.Failed()
		old.Leave()
		b.wantAway(t, time.Second)
		older.Answered()
		b.mustEnter(t)
	})
}

func TestALimitOfNothingNeverOpens(t *testing.T) {
	t.Parallel()
	b := circuit.NewBreaker(0, rest, nil)
	for range 100 {
		pass, _ := b.Enter()
		if pass == nil {
			t.Fatal("sent away")
		}
		pass.Failed()
	}
}

// Whatever happens, repeats are at most the stock and their share.
func TestTheBudgetIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.IntRange(0, 100).Draw(t, "percent")
		b := circuit.NewBudget(percent)
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
	b := circuit.NewBudget(10)
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
