package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/pimsd/pimsd/internal/otp"
)

// maxAlone is how many jobs of one batch may fail alone before each of the others gets a transaction of its own.
const maxAlone = 8

// transaction is a batch of jobs on its way to become durable.
type transaction struct {
	*writer

	left    []*job
	refused []*job // for want of room; nothing of them is stored when another try has become durable
	room    int    // what has been done to make room
}

// transact runs the jobs in one transaction and sets the result of each. It returns the error that all of them met.
//
// What is convenient never fails what is not: a settle whose response cannot be stored is run again without it, one that meets damage
// is run again without the indexes of the records, or without its audit line, a job that fails alone is left out, and on a full disk
// room is made for settles, at the expense of everything else. After a failure all is rolled back and run again: of a transaction
// that has met damage, SQLite commits nothing, whatever was rolled back to a savepoint.
//
// Before the commit, what failed is not stored and never will be (otp.ErrNotApplied). A commit that failed may have left the
// transaction in the log: whether it is stored is not known.
func (w *writer) transact(batch []*job) error {
	t := transaction{writer: w, left: batch}
	for alone := 0; len(t.left) > 0; {
		failed, err := t.try()
		w.health.record(err)
		switch {
		case err == nil:
			t.finish(batch)
			return nil
		case isFull(err) && t.makeRoom(err):
			if len(t.left) == 0 { // the callers of all have gone on
				return err
			}
		case failed == nil || !isAlone(err):
			return failAll(t.left, err)
		case failed.Task.retryWithout(err):
		default:
			t.left = slices.DeleteFunc(slices.Clone(t.left), func(j *job) bool { return j == failed })
			if alone++; alone == maxAlone {
				t.singly()
				return nil
			}
		}
	}
	return nil
}

// singly runs each of the jobs left in a transaction of its own.
func (t *transaction) singly() {
	for _, j := range t.left {
		_ = t.transact([]*job{j}) // the job has the error
	}
}

// finish notes what was done without. What was refused before is known not to be stored now: the log was written over it.
func (t *transaction) finish(batch []*job) {
	for _, j := range t.refused {
		j.Task.result = untouched(j.Task.result)
	}
	for _, j := range batch {
		if j.Task.dropped && j.Task.result == nil {
			t.health.responsesLost.Add(1)
		}
		if j.Task.byScan() && j.Task.result == nil {
			t.health.settlesByScan.Add(1)
		}
		if j.Task.unlogged() && j.Task.result == nil {
			t.health.settlesUnlogged.Add(1)
		}
	}
}

func failAll(jobs []*job, err error) error {
	for _, j := range jobs {
		j.Task.result = err
	}
	return err
}

// try runs the jobs in one transaction, which is durable when it returns nil. After an error nothing of it is in the
// database for now; failed is the job that failed, or nil if none did alone.
func (t *transaction) try() (failed *job, err error) {
	if err := t.begin(); err != nil {
		return nil, fmt.Errorf("begin to write: %w", untouched(err))
	}
	for _, j := range t.left {
		if err := j.Task.run(t.conn); err != nil {
			t.conn.rollBack()
			return j, fmt.Errorf("write: %w", untouched(err))
		}
	}
	for _, j := range t.left {
		j.Task.letAhead()
	}
	if _, err := t.conn.exec("COMMIT"); err != nil {
		t.conn.rollBack()
		err = fmt.Errorf("make a write durable: %w", err)
		t.leaveOut(isAhead, err)
		return nil, err
	}
	return nil, nil
}

// isAlone reports whether the failure of a job says nothing of others.
func isAlone(err error) bool { return faultOf(err) == faultNone || faultOf(err) == faultLocal }

// retryWithout reports whether a task that failed alone is to be run again in another way: without what is to be kept when that failed, and
// a settle without the indexes of the records or without its audit line when one of these may be damaged. Otherwise the failure is
// its result.
func (t *task) retryWithout(failure error) (again bool) {
	refused, isRefused := errors.AsType[undone](failure)
	switch {
	case isRefused:
		t.result = refused.refusal
		return false
	case t.unkept:
		return t.strip()
	case t.kind == settle && t.tries < triesWithout && isDamage(failure):
		t.tries++
		return true
	}
	t.result = failure
	return false
}

// triesWithout is how often a settle that meets damage is run again: without the indexes of the records, without its audit line, and
// without both.
const (
	triesUnlogged = 2
	triesWithout  = 3
)

func (t *task) byScan() bool   { return t.tries == 1 || t.tries == triesWithout }
func (t *task) unlogged() bool { return t.tries >= triesUnlogged }

// letAhead lets the caller of a change go on that was made and not refused, if it is one that does.
func (t *task) letAhead() {
	if t.ahead != nil && t.result == nil {
		t.isAhead = true
		close(t.ahead)
	}
}

func isAhead(j *job) bool { return j.Task.isAhead }

// strip has the task done without what is to be kept, and reports whether there was any.
func (t *task) strip() bool {
	if t.keep == nil {
		return false
	}
	t.keep, t.dropped = nil, true
	return true
}

// run is attempt, of which a panic is a failure of this task alone.
func (t *task) run(c *conn) (failure error) {
	return otp.CatchPanic(func() error { return t.attempt(c) })
}

// attempt makes the change, and stores what is to be kept with it unless it was refused.
func (t *task) attempt(c *conn) (failure error) {
	on := target{c, t.byScan(), t.unlogged()}
	t.unkept = false
	switch t.result, failure = t.change(on); {
	case failure != nil:
		return failure
	case errors.Is(t.result, errStored):
		t.result = nil
	case t.result == nil && t.keep != nil:
		_, failure = t.keep(on)
		t.unkept = failure != nil
	}
	return failure
}

// begin begins a transaction, and the log if that is due. A log without a name is no fault.
func (w *writer) begin() error {
	if err := w.beginAlone(); err != nil {
		return err
	}
	if err := w.renew(); err != nil {
		w.conn.rollBack()
		w.health.record(err)
		return w.beginAlone()
	}
	return nil
}

// beginAlone waits for other processes that write, as long as busyTimeout says. Meanwhile it does the reads that come.
func (w *writer) beginAlone() error {
	const pause = 5 * time.Millisecond
	for deadline := time.Now().Add(busyTimeout); ; {
		_, err := w.conn.exec("BEGIN IMMEDIATE")
		if primaryCode(err) != sqlite.ResultBusy || time.Now().After(deadline) {
			return err
		}
		timer := time.NewTimer(pause)
		for waiting := true; waiting; {
			w.readAll()
			select {
			case <-w.queue.Ready():
			case <-timer.C:
				waiting = false
			}
		}
	}
}

// rollBack ends a transaction that failed. SQLite has done that itself after some errors, and then says so.
func (c *conn) rollBack() { _, _ = c.exec("ROLLBACK") }

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
			t.leaveOut(func(j *job) bool { return !isSettle(j) }, err)
			for _, j := range t.left {
				j.Task.strip()
			}
			return len(t.left) > 0
		case 3:
			if t.reserve.release() {
				return true
			}
		default:
			return false
		}
	}
}

// leaveOut fails some of the jobs: they are not run again.
func (t *transaction) leaveOut(some func(*job) bool, err error) {
	kept := make([]*job, 0, len(t.left))
	for _, j := range t.left {
		if some(j) {
			j.Task.result = err
			t.refused = append(t.refused, j)
		} else {
			kept = append(kept, j)
		}
	}
	t.left = kept
}

// rewind writes the log back into the database, and reports whether the next transaction can begin at the log's beginning.
func (w *writer) rewind() bool {
	complete, err := w.writeBack(passive)
	w.health.record(err)
	return complete
}
