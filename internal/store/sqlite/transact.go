package sqlite

import (
	"context"
	"fmt"
	"time"

	lib "modernc.org/sqlite/lib"
)

// maxAlone bounds how many jobs of one batch may fail alone, since each has the others done again.
const maxAlone = 8

// transact runs the jobs in one transaction and sets the error of each. A job that fails alone is left out, and the others
// are run again, so that what one of them meets, housekeeping or a damaged page, costs none of the others anything. It returns the
// error that all of them met.
//
// Before the commit, what failed is not stored and never will be (otp.ErrUntouched). A commit that failed may have left the
// transaction in the log: whether it is stored is not known.
func (w *writer) transact(batch []*job) error {
	left := batch
	for alone := 0; len(left) > 0; alone++ {
		failed, err := w.try(left)
		fault := faultOf(err)
		w.health.note(err)
		switch {
		case err == nil:
			return nil
		case failed < 0 || fault == faultPassing || fault == faultFatal || alone == maxAlone:
			for _, j := range left {
				j.err = err
			}
			return err
		}
		left[failed].err = err
		left = append(left[:failed:failed], left[failed+1:]...)
	}
	return nil
}

// try runs the jobs in one transaction, which is durable when it returns nil. After an error nothing of it is in the
// database for now; failed is the index of the job whose change failed, or -1.
func (w *writer) try(batch []*job) (failed int, err error) {
	ctx := context.Background() // the jobs of many callers end with none of them
	if err := w.begin(ctx); err != nil {
		return -1, fmt.Errorf("begin to write: %w", untouched(err))
	}
	for i, j := range batch {
		if j.err, err = j.change(ctx, w.on); err != nil {
			return i, fmt.Errorf("write: %w", untouched(w.undo(ctx, err)))
		}
	}
	if _, err := w.on.commit.ExecContext(ctx); err != nil {
		return -1, fmt.Errorf("make a write durable: %w", w.undo(ctx, err))
	}
	return -1, nil
}

// begin waits for other processes that write, as long as busyTimeout says. Meanwhile it does the lookups that come.
func (w *writer) begin(ctx context.Context) error {
	const pause = 5 * time.Millisecond
	for deadline := time.Now().Add(busyTimeout); ; {
		_, err := w.on.begin.ExecContext(ctx)
		if code, _ := resultCode(err); code != lib.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		timer := time.NewTimer(pause)
		for waiting := true; waiting; {
			select {
			case read := <-w.looks:
				read(w.lookups)
			case <-timer.C:
				waiting = false
			}
		}
	}
}

// undo ends a transaction that failed. SQLite has done that itself after some errors, and then says so.
func (w *writer) undo(ctx context.Context, err error) error {
	_, _ = w.on.rollback.ExecContext(ctx)
	return err
}
