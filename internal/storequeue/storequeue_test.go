package storequeue_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/pimsd/pimsd/internal/storequeue"
)

type (
	job  = storequeue.Job[string]
	jobs = storequeue.Queue[string]
)

func every(*job) bool { return true }

// do queues a job in a goroutine, and returns a channel for the error of Do.
func do(ctx context.Context, q *jobs, j *job) <-chan error {
	result := make(chan error, 1)
	go func() { result <- q.Do(ctx, j) }()
	synctest.Wait() // until it waits
	return result
}

func tasks(taken []*job) (names []string) {
	for _, j := range taken {
		names = append(names, j.Task)
	}
	return names
}

func TestJobsAreTakenInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := storequeue.New[string]()
		var results []<-chan error
		for _, task := range []string{"a", "b", "c", "d"} {
			results = append(results, do(t.Context(), q, &job{Task: task}))
		}
		<-q.Ready()
		first := q.Take(2, func(j *job) bool { return j.Task != "a" })
		rest := q.Take(storequeue.All, every)
		if got := append(tasks(first), tasks(rest)...); !slices.Equal(got, []string{"b", "c", "a", "d"}) {
			t.Errorf("taken were %v", got)
		}
		failure := errors.New("failure")
		for _, j := range append(first, rest...) {
			j.Finish(failure)
		}
		for _, result := range results {
			if err := <-result; !errors.Is(err, failure) || errors.Is(err, storequeue.ErrNotBegun) {
				t.Errorf("a caller was told %v", err)
			}
		}
	})
}

func TestJobOfCallerThatLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := storequeue.New[string]()
		ctx, cancel := context.WithCancel(t.Context())
		begun := do(ctx, q, &job{Task: "begun"})
		taken := q.Take(storequeue.All, every)
		dropped, must := do(ctx, q, &job{Task: "dropped"}), do(ctx, q, &job{Task: "must", ID: "1"})
		cancel()
		if err := <-dropped; !errors.Is(err, context.Canceled) || !errors.Is(err, storequeue.ErrNotBegun) {
			t.Errorf("the caller of a job that was not begun: %v", err)
		}
		for _, result := range []<-chan error{begun, must} {
			if err := <-result; !errors.Is(err, context.Canceled) || errors.Is(err, storequeue.ErrNotBegun) {
				t.Errorf("the caller of a job that is done: %v", err)
			}
		}
		taken[0].Finish(nil) // nothing waits for it, and nothing blocks
		if got := tasks(q.Take(storequeue.All, every)); !slices.Equal(got, []string{"must"}) {
			t.Errorf("left in the queue were %v", got)
		}
		if err := q.Do(ctx, &job{ID: "2"}); !errors.Is(err, storequeue.ErrNotBegun) || len(q.Take(storequeue.All, every)) != 0 {
			t.Errorf("a caller that comes too late: %v", err)
		}
	})
}

// A caller that tries again and again does not fill the queue while the worker is stuck.
func TestRepeatedJobTakesTheDetachedPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := storequeue.New[string]()
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			result := do(ctx, q, &job{Task: "detached", ID: "1"})
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that left: %v", err)
			}
		}
		last, other := do(t.Context(), q, &job{Task: "last", ID: "1"}), do(t.Context(), q, &job{Task: "other", ID: "2"})
		second := do(t.Context(), q, &job{Task: "second", ID: "1"})
		taken := q.Take(storequeue.All, every)
		if got := tasks(taken); !slices.Equal(got, []string{"last", "other", "second"}) {
			t.Errorf("taken were %v", got)
		}
		for _, j := range taken {
			j.Finish(nil)
		}
		if err := errors.Join(<-last, <-other, <-second); err != nil {
			t.Error(err)
		}
	})
}

func TestClosedQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := storequeue.New[string]()
		waiting := do(t.Context(), q, &job{Task: "waiting"})
		q.Close()
		if err := q.Do(t.Context(), &job{}); !errors.Is(err, storequeue.ErrClosed) || !errors.Is(err, storequeue.ErrNotBegun) {
			t.Errorf("a job for a closed queue: %v", err)
		}
		<-q.Ready()
		if q.Ended() {
			t.Error("the queue has ended before what waits was taken")
		}
		q.Take(1, every)[0].Finish(nil)
		if err := <-waiting; err != nil || !q.Ended() {
			t.Errorf("what waited: %v; ended: %t", err, q.Ended())
		}
	})
}
