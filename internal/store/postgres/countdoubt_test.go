package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counter is something to count that takes its time.
type counter struct {
	takes time.Duration
	found atomic.Int64
	fails error
	taken atomic.Int64
}

func (c *counter) count(ctx context.Context) (int, error) {
	c.taken.Add(1)
	found, fails := int(c.found.Load()), c.fails
	select {
	case <-time.After(c.takes):
		return found, fails
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func wantCount(t *testing.T, r *cachedCount, want int) {
	t.Helper()
	if got, err := r.count(t.Context()); got != want || err != nil {
		t.Errorf("counted %d, %v; want %d", got, err, want)
	}
}

func TestAQuickCountIsAlwaysNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counter{takes: quickCount / 2}
		r := newCachedCount(c.count)
		for n := range 10 {
			c.found.Store(int64(n))
			wantCount(t, r, n)
		}
	})
}

// A long count is waited for once. After that no caller waits long, and it takes a fiftieth of the time.
func TestALongCountRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counter{takes: 2 * time.Second}
		c.found.Store(1)
		r := newCachedCount(c.count)
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := r.count(hasty); err == nil {
			t.Errorf("before the first count has ended, it is %d", n)
		}
		wantCount(t, r, 1)
		c.found.Store(2)
		began := time.Now()
		for time.Since(began) < 98*time.Second {
			wantCount(t, r, 1)
			time.Sleep(time.Second)
		}
		if n := c.taken.Load(); n != 1 {
			t.Errorf("%d counts within a hundred seconds", n)
		}
		wantCount(t, r, 1)
		if waited := time.Since(began); waited > 99*time.Second {
			t.Errorf("a caller has waited until %v", waited)
		}
		time.Sleep(2 * time.Second)
		wantCount(t, r, 2)
	})
}

func TestACountThatFailsIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counter{takes: 3 * time.Second, fails: errors.New("away")}
		r := newCachedCount(c.count)
		if _, err := r.count(t.Context()); !errors.Is(err, c.fails) {
			t.Errorf("a count that fails says %v", err)
		}
		c.fails = nil
		c.found.Store(7)
		wantCount(t, r, 7)
	})
}

func TestAStoreThatClosesEndsTheCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newCachedCount((&counter{takes: time.Hour}).count)
		time.AfterFunc(time.Second, r.cancel)
		if _, err := r.count(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("a count under way ends with %v", err)
		}
	})
}
