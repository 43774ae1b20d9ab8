package admission_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/admission"
)

const timeout = time.Second

// callOf is a call of a caller that has one account.
func callOf(name string) admission.Call { return admission.Call{Caller: "key:" + name, Account: name} }

func mustEnter(t *testing.T, g *admission.Gate, call admission.Call) (release func()) {
	t.Helper()
	release, ok := g.Acquire(t.Context(), call)
	if !ok {
		t.Fatalf("%+v is refused", call)
	}
	return release
}

func wantRefused(t *testing.T, g *admission.Gate, call admission.Call, after time.Duration) {
	t.Helper()
	began := time.Now()
	if _, ok := g.Acquire(t.Context(), call); ok || time.Since(began) != after {
		t.Errorf("%+v is admitted: %v, after %v; want a refusal after %v", call, ok, time.Since(began), after)
	}
}

func TestFullGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGate(2, 1, timeout)
		release := mustEnter(t, g, callOf("a"))
		mustEnter(t, g, callOf("b"))
		wantRefused(t, g, callOf("c"), timeout)
		waited := make(chan time.Duration)
		began := time.Now()
		go func() {
			if _, ok := g.Acquire(t.Context(), callOf("d")); !ok {
				t.Error("the call that waits is refused")
			}
			waited <- time.Since(began)
		}()
		synctest.Wait()
		wantRefused(t, g, callOf("e"), 0) // one waits already
		time.Sleep(timeout / 2)
		release()
		if after := <-waited; after != timeout/2 {
			t.Errorf("the call that waits is admitted after %v", after)
		}
		wantRefused(t, g, callOf("f"), timeout)
	})
}

func TestCallerThatLeavesTheQueueMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGate(1, 1, time.Hour)
		release := mustEnter(t, g, callOf("a"))
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, hangUp)
		if _, ok := g.Acquire(ctx, callOf("b")); ok {
			t.Error("admitted")
		}
		time.AfterFunc(time.Minute, release)
		mustEnter(t, g, callOf("c"))
	})
}

// TestNeverMoreInsideThanPlaces: however many come at once, and in the end all places are free and nothing is remembered.
func TestNeverMoreInsideThanPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places = 8
		g := admission.NewGate(places, 50, timeout)
		var inside, served atomic.Int64
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				release, ok := g.Acquire(t.Context(), callOf(fmt.Sprint(i)))
				if !ok {
					return
				}
				if n := inside.Add(1); n > places {
					t.Errorf("%d are inside", n)
				}
				time.Sleep(timeout / 4)
				inside.Add(-1)
				served.Add(1)
				release()
				release() // again: it changes nothing
			})
		}
		all.Wait()
		if n := served.Load(); n < 4*places { // 8 at once, and those that a second of waiting is enough for
			t.Errorf("%d were served", n)
		}
		if free, remembered := g.Free(), g.Remembered(); free != places || remembered != 0 {
			t.Errorf("%d places are free, %d callers and accounts are remembered", free, remembered)
		}
	})
}

// fill lets calls in until one is refused, and returns how many were admitted. Each has the account of its number.
func fill(t *testing.T, g *admission.Gate, callOf func(i int) admission.Call) int {
	t.Helper()
	for i := 0; ; i++ {
		if _, ok := g.Acquire(t.Context(), callOf(i)); !ok {
			return i
		}
	}
}

// TestSharesOfPlaces: one caller leaves a quarter of the places that it finds, and one account fifteen sixteenths.
func TestSharesOfPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGate(1024, 0, timeout)
		backend := func(name string) func(int) admission.Call {
			return func(i int) admission.Call { return admission.Call{Caller: name, Account: name + fmt.Sprint(i)} }
		}
		one := fill(t, g, func(int) admission.Call { return callOf("mallory") })
		if one != 60 {
			t.Errorf("an account has %d of 1024 places", one)
		}
		for _, want := range []int{723, 181, 28} {
			if got := fill(t, g, backend(fmt.Sprint(want))); got != want {
				t.Errorf("a caller has %d places, want %d", got, want)
			}
		}
		if free := g.Free(); free != 32 {
			t.Errorf("%d places are free", free)
		}
		mustEnter(t, g, callOf("alice"))
	})
}

// TestGreedyCallersLeavePlaces: callers that take whatever they can get, and wait with as many calls as they may, leave places for
// others.
func TestGreedyCallersLeavePlaces(t *testing.T) {
	t.Parallel()
	for places, greedy := range map[int]int{1024: 30, 64: 3} {
		synctest.Test(t, func(t *testing.T) {
			g := admission.NewGate(places, places/2, 0)
			for caller := range greedy {
				fill(t, g, func(i int) admission.Call {
					return admission.Call{Caller: fmt.Sprint(caller), Account: fmt.Sprint(caller, i)}
				})
			}
			for i := range 2 {
				mustEnter(t, g, callOf(fmt.Sprintf("caller %d behind %d greedy ones at %d places", i, greedy, places)))
			}
		})
	}
}

// TestSharesOfTheQueue: a caller whose share is used up cannot fill the queue either, and its calls that wait do not
// hold up others.
func TestSharesOfTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGate(64, 16, timeout)
		release := mustEnter(t, g, callOf("mallory"))
		fill := func() (refused int64) {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if _, ok := g.Acquire(t.Context(), callOf("mallory")); !ok {
						atomic.AddInt64(&refused, 1)
					}
				})
			}
			synctest.Wait()
			mustEnter(t, g, callOf("alice"))()
			release() // one of those that wait gets the place
			all.Wait()
			return refused
		}
		if got := fill(); got != 100-3 {
			t.Errorf("%d of 100 calls of one account were refused", got)
		}
	})
}

// TestOthersFindPlaces: whatever calls one or two callers make, and in whatever order calls end, a call of another
// caller is admitted at once. A caller leaves (n-3)/4 of the n places that it finds, so 19 places are enough for one to
// be left after two.
func TestOthersFindPlaces(t *testing.T) {
	t.Parallel()
	type burst struct{ caller, calls, ends int }
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(19, 300).Draw(rt, "places")
		bursts := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) burst {
			return burst{rapid.IntRange(0, 1).Draw(rt, "caller"), rapid.IntRange(0, size).Draw(rt, "calls"), rapid.IntRange(0, size).Draw(rt, "ends")}
		}), 1, 20).Draw(rt, "bursts")
		synctest.Test(t, func(t *testing.T) {
			g := admission.NewGate(size, 16, 0)
			var leaves []func()
			for _, b := range bursts {
				for i := range b.calls {
					if release, ok := g.Acquire(t.Context(), admission.Call{Caller: fmt.Sprint(b.caller), Account: fmt.Sprint(b.caller, i)}); ok {
						leaves = append(leaves, release)
					}
				}
				release, ok := g.Acquire(t.Context(), callOf("alice"))
				if !ok {
					rt.Fatalf("another caller is refused at %d of %d places", g.Free(), size)
				}
				release()
				for range min(b.ends, len(leaves)) {
					leaves[0]()
					leaves = leaves[1:]
				}
			}
		})
	})
}

func TestNilGateIsOpen(t *testing.T) {
	t.Parallel()
	var g *admission.Gate
	mustEnter(t, g, callOf("a"))()
}
