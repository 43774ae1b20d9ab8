package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/pimsd/pimsd/internal/otp"
)

// maxAlone bounds how many jobs of one batch may fail alone, since each has the others done again.
const maxAlone = 8

// transaction is a batch of jobs on its way to become durable.
type transaction struct {
	*writer
	left    []*job
	refused []*job // for want of room; nothing of them is stored when another try has become durable
	room    int    // what has been done to make room
	alone   int    // jobs that failed alone
}

// transact runs the jobs in one transaction and sets the error of each. It returns the error that all of them met.
//
// What is convenient never fails what is not: a settle whose response cannot be stored is run again without it, one that meets a
// damaged index is run again without indexes, a job that fails alone is left out, and on a full disk room is made for settles, at
// the expense of everything else.
//
// Before the commit, what failed is not stored and never will be (otp.ErrUntouched). A commit that failed may have left the
// transaction in the log: whether it is stored is not known.
func (w *writer) transact(batch []*job) error {
	t := transaction{writer: w, left: batch}
	for len(t.left) > 0 {
		failed, err := t.try(t.left)
		w.health.note(err)
		switch {
		case err == nil:
			t.done(batch)
			return nil
		case isFull(err):
			if !t.makeRoom(err) {
				return failAll(t.left, err)
			}
		case failed < 0 || faultOf(err) == faultPassing || faultOf(err) == faultFatal:
			return failAll(t.left, err)
		case t.left[failed].mend(err):
		case t.alone < maxAlone:
			t.alone++
			t.left[failed].err = err
			t.left = slices.Concat(t.left[:failed], t.left[failed+1:])
		default:
			return failAll(t.left, err)
		}
	}
	return nil
}

// done notes what was done without. What was refused before is known not to be stored now: the log was written over it.
func (t *transaction) done(batch []*job) {
	for _, j := range t.refused {
		j.err = untouched(j.err)
	}
	for _, j := range batch {
		if j.dropped && j.err == nil {
			t.health.responsesLost.Add(1)
		}
		if j.byScan && j.err == nil {
			t.health.settlesByScan.Add(1)
		}
	}
}

func failAll(jobs []*job, err error) error {
	for _, j := range jobs {
		j.err = err
	}
	return err
}

// isFull reports whether the disk has refused a write: SQLite reports ENOSPC as the one code, and EDQUOT as the other.
func isFull(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == lib.SQLITE_FULL || e.Code() == lib.SQLITE_IOERR_WRITE)
}

// makeRoom does the next of what may help on a full disk, and reports whether there was anything left to do: it writes the log back,
// so that it is written from its beginning again; it leaves out everything but settles, and their responses; and it releases the
// reserve.
func (t *transaction) makeRoom(err error) bool {
	for {
		t.room++
		switch t.room {
		case 1:
			if t.rewind() {
				return true
			}
		case 2:
			settles := slices.DeleteFunc(slices.Clone(t.left), func(j *job) bool { return j.kind != settle })
			t.refused = slices.DeleteFunc(slices.Clone(t.left), func(j *job) bool { return j.kind == settle })
			_ = failAll(t.refused, err)
			t.left = settles
			for _, j := range settles {
				j.strip()
			}
			if len(settles) == 0 {
				return false
			}
			return true
		case 3:
			if t.reserve.release() {
				return true
			}
		default:
			return false
		}
	}
}

// rewind writes the log back into the database, and reports whether the next transaction can begin at the log's beginning.
func (w *writer) rewind() bool {
	complete, err := w.writeBack(passive)
	w.health.note(err)
	return complete
}

// try runs the jobs in one transaction, which is durable when it returns nil. After an error nothing of it is in the
// database for now; failed is the index of the job whose change failed, or -1.
func (w *writer) try(batch []*job) (failed int, err error) {
	ctx := context.Background() // the jobs of many callers end with none of them
	if err := w.begin(ctx); err != nil {
		return -1, fmt.Errorf("begin to write: %w", untouched(err))
	}
	for i, j := range batch {
		if err := j.run(ctx, w.on); err != nil {
			return i, fmt.Errorf("write: %w", untouched(w.undo(ctx, err)))
		}
	}
	if _, err := w.on.commit.ExecContext(ctx); err != nil {
		return -1, fmt.Errorf("make a write durable: %w", w.undo(ctx, err))
	}
	return -1, nil
}

// run is attempt, of which a panic is a failure of this job alone.
func (j *job) run(ctx context.Context, on *statements) (failure error) {
	return otp.CatchPanic(func() error { return j.attempt(ctx, on) })
}

// attempt makes the change, and stores what is to be kept with it unless it was refused.
func (j *job) attempt(ctx context.Context, on *statements) (failure error) {
	if j.byScan {
		on = on.scanning
	}
	j.unkept = false
	switch j.err, failure = j.change(ctx, on); {
	case failure != nil:
		return failure
	case errors.Is(j.err, errStored):
		j.err = nil
	case j.err == nil && j.keep != nil:
		_, failure = j.keep(ctx, on)
		j.unkept = failure != nil
	}
	return failure
}

// begin begins a transaction, and the log if that is due. A log without a name is no fault.
func (w *writer) begin(ctx context.Context) error {
	if err := w.beginAlone(ctx); err != nil {
		return err
	}
	if err := w.renew(ctx); err != nil {
		_ = w.undo(ctx, err)
		w.health.note(err)
		return w.beginAlone(ctx)
	}
	return nil
}

// beginAlone waits for other processes that write, as long as busyTimeout says. Meanwhile it does the lookups that come.
func (w *writer) beginAlone(ctx context.Context) error {
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
