package sqlite

import (
	"context"
	"fmt"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/storequeue"
)

// reader serves lists and counts on a connection of its own, one after the other, so that none of them holds up what calls need.
type reader struct {
	conn  *conn
	queue *storequeue.Queue[listing]
	done  chan struct{} // closed when the connection is
}

// listing is a read that ends when the context of its caller does.
type listing struct {
	ctx  context.Context //nolint:containedctx // the caller's, for as long as the read waits and runs
	read func(*conn) error
}

func startReader(c *conn) *reader {
	r := &reader{conn: c, queue: storequeue.New[listing](), done: make(chan struct{})}
	go r.work()
	return r
}

func (r *reader) work() {
	defer close(r.done)
	for !r.queue.Ended() {
		<-r.queue.Ready()
		for _, j := range r.queue.Take(storequeue.All, func(*storequeue.Job[listing]) bool { return true }) {
			end := r.conn.interruptedBy(j.Task.ctx)
			err := otp.CatchPanic(func() error { return j.Task.read(r.conn) })
			end()
			j.Finish(err)
		}
	}
	_ = r.conn.Close() // it was only read
}

// stop ends the reader when what waits has been read.
func (r *reader) stop() {
	r.queue.Close()
	<-r.done
}

// do has a read done. The caller waits until ctx ends, however long the disk takes.
func (r *reader) do(ctx context.Context, read func(*conn) error) error {
	return r.queue.Do(ctx, &storequeue.Job[listing]{Task: listing{ctx, read}})
}

// list returns the rows of a query, as the reader reads them.
func list[T any](ctx context.Context, s *Store, what string, read func(*row) (T, error), text string, args ...any) ([]T, error) {
	if err := s.health.refusal(); err != nil {
		return nil, err
	}
	var rows []T // not to be touched when ctx has ended
	err := s.reader.do(ctx, func(c *conn) (err error) {
		rows, err = all(c, read, text, args...)
		return err
	})
	if err != nil {
		return nil, s.readError(what, err)
	}
	return rows, nil
}

// count returns the number that is the one result of a query.
func (s *Store) count(ctx context.Context, what, text string, args ...any) (int, error) {
	counts, err := list(ctx, s, what, func(r *row) (int, error) { return r.count(), r.err }, text, args...)
	if err != nil {
		return 0, err
	}
	return counts[0], nil
}

// readError says what could not be read, and looks whether the database is at fault.
func (s *Store) readError(what string, err error) error {
	s.health.record(err)
	return fmt.Errorf("%s: %w", what, err)
}

// runWithin returns what work does, or an error when ctx ends first: what waits for a disk that hangs cannot be interrupted, and
// goes on without its caller.
func runWithin[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	answer := make(chan result, 1)
	go func() {
		var r result
		r.err = otp.CatchPanic(func() (err error) {
			r.value, err = work()
			return err
		})
		answer <- r
	}()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
