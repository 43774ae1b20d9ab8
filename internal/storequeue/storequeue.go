// Package storequeue passes the jobs of many callers of a store to one worker, which takes those that wait and does them together.
//
// A caller waits as long as its context allows. When it leaves before its job was started, the job is dropped; a job with an ID never
// is. The package must not know what the jobs do.
package storequeue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

var (
	// ErrNotBegun means that a job was dropped before it was begun, and never will be done.
	ErrNotBegun = errors.New("it was not begun")
	// ErrClosed means that the queue takes no more jobs. It comes with ErrNotBegun.
	ErrClosed = errors.New("the store is closed")
)

// stepRests is for how many times its own length each step of InSteps leaves the store to others.
const stepRests = 2

// InSteps repeats a step of housekeeping until it reports that there is no more to do, or ctx ends. A ctx that ends after the first step is
// no error: the next call goes on.
func InSteps(ctx context.Context, step func(context.Context) (more bool, err error)) error {
	for n := 0; ; n++ {
		began := time.Now()
		more, err := step(ctx)
		switch {
		case n > 0 && ctx.Err() != nil:
			return nil //nolint:nilerr // the next call goes on
		case err != nil || !more:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(stepRests * time.Since(began)):
		}
	}
}

// All is a bound for Take that all jobs are within.
const All = math.MaxInt

// Job is a task, and what became of it. Until it is finished it belongs to the worker, also after its caller has left.
type Job[T any] struct {
	Task T
	// ID, if it is not empty, names what must be done although the caller leaves. While such a job waits without a caller, a
	// new job with the same ID takes its place.
	ID string

	err      error
	finished chan struct{} // closed when err is set
	taken    bool          // by the worker; guarded by the queue's mutex
	detached bool          // from its caller, which has left; guarded by the queue's mutex
}

// Finish has the caller of Do return err. The worker must call it once for each job that it has taken.
func (j *Job[T]) Finish(err error) {
	j.err = err
	close(j.finished)
}

// Finished returns a channel that is closed when the job is finished. It must have been added to a queue.
func (j *Job[T]) Finished() <-chan struct{} { return j.finished }

// Queue holds the jobs that wait, in the order in which they came.
type Queue[T any] struct {
	ready chan struct{} // has a token when there is something to see for the worker

	mu      sync.Mutex
	waiting []*Job[T]
	closed  bool
}

// New returns an empty queue.
func New[T any]() *Queue[T] { return &Queue[T]{ready: make(chan struct{}, 1)} }

// Do queues a job, waits until it is finished, and returns its error. When ctx ends or the queue is closed before the job was
// begun, the error is ErrNotBegun. When ctx ends later, or the job has an ID, the error is that of ctx alone: the job is or will
// be done, with a result that the caller does not learn.
func (q *Queue[T]) Do(ctx context.Context, j *Job[T]) error {
	if err := q.Add(ctx, j); err != nil {
		return err
	}
	return q.Wait(ctx, j)
}

// Add is the first half of Do: it queues the job, or returns ErrNotBegun.
func (q *Queue[T]) Add(ctx context.Context, j *Job[T]) error {
	if err := ctx.Err(); err != nil {
		return notBegun(err)
	}
	j.finished = make(chan struct{})
	if !q.add(j) {
		return notBegun(ErrClosed)
	}
	return nil
}

// Wait is the second half of Do.
func (q *Queue[T]) Wait(ctx context.Context, j *Job[T]) error {
	select {
	case <-j.finished:
		return j.err
	case <-ctx.Done():
		return q.leave(j, ctx.Err())
	}
}

func notBegun(err error) error { return fmt.Errorf("%w: %w", ErrNotBegun, err) }

// add queues the job, and reports whether the queue was open.
func (q *Queue[T]) add(j *Job[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	same := -1
	if j.ID != "" {
		same = slices.IndexFunc(q.waiting, func(other *Job[T]) bool { return other.detached && other.ID == j.ID })
	}
	if same >= 0 {
		q.waiting[same] = j
	} else {
		q.waiting = append(q.waiting, j)
	}
	q.wake()
	return true
}

// leave ends the wait of a caller whose context has ended with err, and returns the caller's error.
func (q *Queue[T]) leave(j *Job[T], err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-j.finished:
		return j.err
	default:
	}
	if j.taken || j.ID != "" {
		j.detached = true
		return err
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(other *Job[T]) bool { return other == j })
	return notBegun(err)
}

// Ready returns a channel from which the worker receives a value after jobs were added, or the queue was closed.
func (q *Queue[T]) Ready() <-chan struct{} { return q.ready }

// Take removes the jobs that fit from the queue, at most limit, and returns them in their order. The worker must finish each.
func (q *Queue[T]) Take(limit int, fits func(*Job[T]) bool) (taken []*Job[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(j *Job[T]) bool {
		if len(taken) == limit || !fits(j) {
			return false
		}
		j.taken = true
		taken = append(taken, j)
		return true
	})
	return taken
}

// Ended reports whether the queue is closed and nothing waits any more.
func (q *Queue[T]) Ended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.waiting) == 0
}

// Close has the queue take no more jobs. What waits is left to the worker.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

func (q *Queue[T]) wake() {
	select {
	case q.ready <- struct{}{}:
	default: // the worker has yet to receive the token that is there
	}
}
