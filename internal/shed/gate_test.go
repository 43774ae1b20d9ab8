package shed_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/shed"
)

const patience = time.Second

func mustEnter(t *testing.T, g *shed.Gate) (leave func()) {
	t.Helper()
	leave, ok := g.Enter(t.Context())
	if !ok {
		t.Fatal("refused")
	}
	return leave
}

func wantRefused(t *testing.T, g *shed.Gate, after time.Duration) {
	t.Helper()
	began := time.Now()
	if _, ok := g.Enter(t.Context()); ok || time.Since(began) != after {
		t.Errorf("let in: %v, after %v; want a refusal after %v", ok, time.Since(began), after)
	}
}

func TestAFullGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := shed.NewGate(2, 1, patience)
		leave := mustEnter(t, g)
		mustEnter(t, g)
		wantRefused(t, g, patience) // who waits does so in vain
		waiter := make(chan time.Duration)
		began := time.Now()
		go func() {
			if _, ok := g.Enter(t.Context()); !ok {
				t.Error("who waited was refused")
			}
			waiter <- time.Since(began)
		}()
		synctest.Wait()
		wantRefused(t, g, 0) // one waits already
		time.Sleep(patience / 2)
		leave()
		if waited := <-waiter; waited != patience/2 {
			t.Errorf("who waited was let in after %v", waited)
		}
		wantRefused(t, g, patience)
	})
}

func TestWhoLeavesTheQueueMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := shed.NewGate(1, 1, time.Hour)
		leave := mustEnter(t, g)
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, hangUp)
		if _, ok := g.Enter(ctx); ok {
			t.Error("let in")
		}
		time.AfterFunc(time.Minute, leave)
		mustEnter(t, g)
	})
}

// However many come at once, never more are inside than there are places, and in the end all places are free.
func TestNeverMoreThanThePlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const places = 8
		g := shed.NewGate(places, 50, patience)
		var inside, served atomic.Int64
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				leave, ok := g.Enter(t.Context())
				if !ok {
					return
				}
				if n := inside.Add(1); n > places {
					t.Errorf("%d are inside", n)
				}
				time.Sleep(patience / 4)
				inside.Add(-1)
				served.Add(1)
				leave()
			})
		}
		all.Wait()
		if n := served.Load(); n < 4*places { // 8 at once, and those that a second of waiting is enough for
			t.Errorf("%d were served", n)
		}
		for range places {
			mustEnter(t, g)
		}
	})
}

func TestANilGateIsOpen(t *testing.T) {
	t.Parallel()
	var g *shed.Gate
	mustEnter(t, g)()
}
