package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

const (
	// maxBatch is how many jobs are sent at once.
	maxBatch = 64
	// overtakeAfter is how long a batch may be on its way until the next one is sent without it, over another connection.
	// It is longer than a batch takes that neither waits for a lock nor has a connection that is dead.
	overtakeAfter = 250 * time.Millisecond
)

// errClosed is what a job is told that comes when the store is closed.
var errClosed = errors.New("the store is closed")

// queue sends the jobs that wait as one batch, and those that come meanwhile as the next.
type queue[T any] struct {
	jobs   chan *job[T]
	closed chan struct{} // closed when no more jobs are sent
	idle   chan struct{} // closed when no more jobs are taken
	ended  sync.WaitGroup
	// key names what no two jobs of a batch may have in common.
	key func(*T) string
	// send does what the jobs of a batch ask for, and sets their results.
	send func(batch []*job[T])
}

// job is something to be done, with its result.
type job[T any] struct {
	task  T
	err   error         // of the job; read when done is closed
	done  chan struct{} // closed when the result is there
	taken atomic.Bool   // by the batch that it is sent with, or by a caller that gives up before that
}

func newQueue[T any](key func(*T) string, send func([]*job[T])) *queue[T] {
	q := &queue[T]{jobs: make(chan *job[T], maxBatch), closed: make(chan struct{}), idle: make(chan struct{}), key: key, send: send}
	q.ended.Go(q.run)
	return q
}

// do does the task, and returns when the result is in it or ctx ends. The error is a notSent if the task was not sent.
func (q *queue[T]) do(ctx context.Context, task T) (T, error) {
	j := &job[T]{task: task, done: make(chan struct{})}
	select {
	case q.jobs <- j:
	case <-ctx.Done():
		return task, notSent{ctx.Err()}
	case <-q.closed:
		return task, notSent{errClosed}
	}
	select {
	case <-j.done:
		return j.task, j.err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return task, notSent{ctx.Err()}
		}
		return task, ctx.Err() // what becomes of it is not known
	case <-q.idle:
		if j.taken.CompareAndSwap(false, true) {
			return task, notSent{errClosed}
		}
		<-j.done
		return j.task, j.err
	}
}

// run sends batches until the queue is closed.
func (q *queue[T]) run() {
	defer close(q.idle)
	var later []*job[T]
	for {
		if len(later) == 0 {
			select {
			case j := <-q.jobs:
				later = append(later, j)
			case <-q.closed:
				return
			}
		}
		var batch []*job[T]
		batch, later = q.collect(later)
		if len(batch) == 0 {
			continue
		}
		sent := make(chan struct{})
		q.ended.Go(func() {
			defer close(sent)
			q.sendAll(batch)
			for _, j := range batch {
				close(j.done)
			}
		})
		overtake := time.NewTimer(overtakeAfter)
		select {
		case <-sent:
		case <-overtake.C:
		}
		overtake.Stop()
	}
}

// sendAll sends the jobs. A panic fails them, and not the process: what became of them is not known.
func (q *queue[T]) sendAll(batch []*job[T]) {
	err := otp.CatchPanic(func() error {
		q.send(batch)
		return nil
	})
	if err != nil {
		for _, j := range batch {
			j.err = err
		}
	}
}

// collect takes the jobs that wait, the given ones first, as far as they may be sent together. It returns those that have
// to be sent later.
func (q *queue[T]) collect(first []*job[T]) (batch, later []*job[T]) {
	keys := map[string]bool{}
	add := func(j *job[T]) {
		key := q.key(&j.task)
		switch {
		case len(batch) == maxBatch || key != "" && keys[key]:
			later = append(later, j)
		case j.taken.CompareAndSwap(false, true):
			keys[key] = true
			batch = append(batch, j)
		}
	}
	for _, j := range first {
		add(j)
	}
	for len(batch)+len(later) < maxBatch {
		select {
		case j := <-q.jobs:
			add(j)
		default:
			return batch, later
		}
	}
	return batch, later
}

// close ends the queue, when what was sent has been answered.
func (q *queue[T]) close() {
	close(q.closed)
	q.ended.Wait()
}
