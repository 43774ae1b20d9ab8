package postgres

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/storequeue"
)

const (
	// maxBatch is how many jobs are sent at once.
	maxBatch = 64
	// overtakeAfter is how long a batch may be on its way until the next one is sent without it, over another connection.
	// It is longer than a batch takes that neither waits for a lock nor has a connection that is dead.
	overtakeAfter = 250 * time.Millisecond
)

// queue sends the jobs that wait as one batch, and those that come meanwhile as the next.
type queue[T any] struct {
	jobs  *storequeue.Queue[*job[T]]
	ended sync.WaitGroup
	// key names what no two jobs of a batch may have in common.
	key func(*T) string
	// send does what the jobs of a batch ask for, and sets their results.
	send func(batch []*job[T])
}

// job is something to be done, with its result.
type job[T any] struct {
	task T
	err  error
}

func newQueue[T any](key func(*T) string, send func([]*job[T])) *queue[T] {
	q := &queue[T]{jobs: storequeue.New[*job[T]](), key: key, send: send}
	q.ended.Go(q.run)
	return q
}

// do does the task, and returns when the result is in it or ctx ends. The error is a notSent if the task was not sent.
func (q *queue[T]) do(ctx context.Context, task T) (T, error) {
	j := &storequeue.Job[*job[T]]{Task: &job[T]{task: task}}
	switch err := q.jobs.Do(ctx, j); {
	case errors.Is(err, storequeue.ErrNotBegun):
		return task, notSent{err}
	case err != nil: // what becomes of it may not be known, and change its result yet
		return task, err
	}
	return j.Task.task, nil
}

// run sends what waits, batch by batch, until the queue is closed and nothing waits, or another goroutine has taken over.
func (q *queue[T]) run() {
	for {
		for batch := q.collect(); len(batch) > 0; batch = q.collect() {
			if q.sendOrHandOver(batch) {
				return
			}
		}
		if q.jobs.Ended() {
			return
		}
		<-q.jobs.Ready()
	}
}

// sendOrHandOver sends a batch. When that takes longer than overtakeAfter, another goroutine runs the queue meanwhile, and the result is
// true.
func (q *queue[T]) sendOrHandOver(batch []*storequeue.Job[*job[T]]) (handedOver bool) {
	q.ended.Add(1)
	handOver := time.AfterFunc(overtakeAfter, func() {
		defer q.ended.Done()
		q.run()
	})
	q.sendAll(batch)
	if !handOver.Stop() {
		return true
	}
	q.ended.Done()
	return false
}

// sendAll sends the jobs, and answers them. A panic fails them, and not the process: what became of them is not known.
func (q *queue[T]) sendAll(waiting []*storequeue.Job[*job[T]]) {
	batch := make([]*job[T], len(waiting))
	for i, j := range waiting {
		batch[i] = j.Task
	}
	panicked := otp.CatchPanic(func() error {
		q.send(batch)
		return nil
	})
	for _, j := range waiting {
		j.Finish(cmp.Or(panicked, j.Task.err))
	}
}

// collect takes the jobs that wait, as far as they may be sent together.
func (q *queue[T]) collect() []*storequeue.Job[*job[T]] {
	keys := map[string]bool{}
	return q.jobs.Take(maxBatch, func(j *storequeue.Job[*job[T]]) bool {
		key := q.key(&j.Task.task)
		if key != "" && keys[key] {
			return false
		}
		keys[key] = true
		return true
	})
}

// close ends the queue, when all jobs have been answered.
func (q *queue[T]) close() {
	q.jobs.Close()
	q.ended.Wait()
}
