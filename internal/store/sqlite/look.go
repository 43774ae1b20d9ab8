package sqlite

import "context"

// manyWrites in one transaction make it worth a lookup's while to wait for the writer's connection.
const manyWrites = 4

// look is a read that waits for the writer's connection.
type look struct {
	read   func() error
	answer chan error // takes one
}

// look has a read done on the writer's connection, between two transactions. When ctx ends first, it may be done all the
// same: what it reads into must not be touched after that.
func (w *writer) look(ctx context.Context, read func() error) error {
	l := &look{read: read, answer: make(chan error, 1)}
	select {
	case w.looks <- l:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	select {
	case err := <-l.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookFor does one read while there is nothing to write.
func (w *writer) lookFor(l *look) {
	w.turn.Lock()
	defer w.turn.Unlock()
	l.answer <- l.read()
}

// lookForAll does the reads that wait, at most so many that the writes do not wait for ever.
func (w *writer) lookForAll() {
	for range maxBatch {
		select {
		case l := <-w.looks:
			l.answer <- l.read()
		default:
			return
		}
	}
}
