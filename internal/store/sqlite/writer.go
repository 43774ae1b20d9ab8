package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/storequeue"
)

const (
	// maxBatch bounds how many writes one transaction takes in addition to settles, and how many reads are done before it.
	maxBatch = 512
	// checkpointEvery is after how many writes the log is written back into the database: 8 to 25 MB of log, a little more while another
	// process writes, too. A file that was longer is cut to journal_size_limit.
	checkpointEvery = 1024
	// writerPragmas are room for 4 MiB of pages, which fill as they are needed: the inner ones of the trees of a million accounts
	// are 3 MiB, and those of the records between lease and settle are wanted again. They take 8 MiB, because the allocator rounds
	// a page with its header up to 8 KiB. Twice or four times as much makes no OTP cheaper. And the writer itself waits for other
	// processes.
	writerPragmas = `PRAGMA cache_size = -4096; PRAGMA busy_timeout = 0`
)

// writer owns the connection that writes, and that the rows of calls are read on: every commit makes other connections read their
// pages again. Its goroutine takes what waits in the queue, reads first, and runs all writes in one transaction. It answers them
// when that has become durable or has failed.
type writer struct {
	conn    *conn
	path    string
	health  *health
	reserve *reserve
	observe func(writes int, took time.Duration, err error)

	queue   *storequeue.Queue[task]
	done    chan struct{} // closed when the connection is
	unsaved int           // writes since the log could last be begun again
	crowded bool          // the last transaction had several writes
	renewal renewal
}

// task is a read, or a change that is to be stored.
type task struct {
	kind   kind
	read   func(*conn) error // of a reading task
	change change            // of any other
	keep   change            // what is stored with the change when it can be; nil: nothing

	result  error         // what the caller is told, once it is known
	dropped bool          // what was to be kept could not be
	unkept  bool          // the last try failed at what was to be kept
	ahead   chan struct{} // to be closed when the caller may go on before the change is durable; nil: it may not
	isAhead bool          // the caller goes on: the change must not be made again
	tries   int           // of a settle that met damage: it is done without the indexes, without its audit line, or without both
}

type job = storequeue.Job[task]

// kind says what depends on a task.
type kind int

const (
	other   kind = iota
	reading      // changes nothing
	update       // decides on the row that it reads
	lease        // what follows it cannot be undone, and needs a settle
	settle       // an answer of inWebo that is lost if it is not stored
)

func isReading(j *job) bool { return j.Task.kind == reading }
func isSettle(j *job) bool  { return j.Task.kind == settle }
func isChange(j *job) bool  { return j.Task.kind != reading }

// change is something to do within a transaction. A refusal, such as a conflict, is the answer to this change alone, which has
// changed nothing. A failure is one of the database. A change may be run more than once, also after its caller has left.
type change func(on target) (refusal, failure error)

// target is the connection on which a change is made.
type target struct {
	*conn

	byScan   bool // the indexes of the records must not be used
	unlogged bool // nothing of the audit log must be used
}

// pick returns the statement that finds the records.
func (t target) pick(byIndex, byScan string) string {
	if t.byScan {
		return byScan
	}
	return byIndex
}

// errStored is the refusal of a change that is stored already: it is not done again, and its caller gets the result of the first time.
var errStored = errors.New("the write is stored already")

// undone is the failure of a change that is refused, but has changed something that must be undone.
type undone struct{ refusal error }

// Error returns the text of the refusal.
func (u undone) Error() string { return u.refusal.Error() }

// openWriterConn opens the connection of a writer.
func openWriterConn(ctx context.Context, path string) (*conn, error) {
	c, err := openConn(ctx, path, standardPragmas())
	if err != nil {
		return nil, err
	}
	if err = c.script(writerPragmas); err == nil {
		err = c.prepare(writerStatements())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set the writer's connection up: %w", err), c.Close())
	}
	return c, nil
}

func (w *writer) start() {
	if w.observe == nil {
		w.observe = func(int, time.Duration, error) {}
	}
	w.queue, w.done = storequeue.New[task](), make(chan struct{})
	go w.work()
}

// stop ends the writer when what waits has been done.
func (w *writer) stop() {
	w.queue.Close()
	<-w.done
}

// change makes a change that is neither a lease nor a settle.
func (w *writer) change(ctx context.Context, c change) error {
	return w.do(ctx, &job{Task: task{change: c}})
}

// do queues a job, and returns its error when it is done. When ctx ends first, a write may be stored all the same; a settle,
// which the queue knows by the id of its write, will be.
func (w *writer) do(ctx context.Context, j *job) error {
	return outcomeOf(ctx, w.queue.Do(ctx, j))
}

// outcomeOf returns the error of a write whose caller waited until ctx ended.
func outcomeOf(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, storequeue.ErrNotBegun):
		return untouched(err)
	case err != nil && errors.Is(err, ctx.Err()):
		return fmt.Errorf("whether the write was stored is not known: %w", err)
	}
	return err
}

// read returns what a function reads on the writer's connection between two transactions. The caller waits until ctx ends,
// however long the disk takes.
func read[T any](ctx context.Context, w *writer, of func(*conn) (T, error)) (T, error) {
	var value, none T // value is not to be touched when ctx has ended
	err := w.queue.Do(ctx, &job{Task: task{kind: reading, read: func(c *conn) (err error) {
		value, err = of(c)
		return err
	}}})
	if err != nil {
		return none, err
	}
	return value, nil
}

// untouched marks the error of a write of which nothing is stored.
func untouched(err error) error {
	if errors.Is(err, otp.ErrNotApplied) {
		return err
	}
	return fmt.Errorf("%w: %w", otp.ErrNotApplied, err)
}

func (w *writer) work() {
	defer close(w.done)
	for !w.queue.Ended() {
		<-w.queue.Ready()
		for w.step() {
		}
	}
	_ = w.closeConn() // what was answered is durable
}

func (w *writer) closeConn() error {
	if w.conn == nil {
		return nil
	}
	return w.conn.Close()
}

// crowdYields is how often the writer yields before a transaction while several callers write. After a single time, another processor may
// take it up again before the callers that can run. Ten times more often costs more than it brings.
const crowdYields = 6

// step does what waits, and reports whether anything did. Between the reads and the transaction it yields to callers that can run: those
// that have just been answered may be about to come back, and then share the next sync. It waits for no other.
func (w *writer) step() bool {
	reads := w.readAll()
	runtime.Gosched()
	for yields := 1; w.crowded && yields < crowdYields; yields++ {
		runtime.Gosched()
	}
	reads += w.readAll()
	batch := w.queue.Take(storequeue.All, isSettle)
	batch = append(batch, w.queue.Take(maxBatch, isChange)...)
	if len(batch) > 0 {
		w.crowded = len(batch) > 1
		w.write(batch)
	}
	return reads+len(batch) > 0
}

// readAll does the reads that wait, but not so many that writes starve, and returns how many it did.
func (w *writer) readAll() int {
	reads := w.queue.Take(maxBatch, isReading)
	for _, j := range reads {
		j.Finish(otp.CatchPanic(func() error { return j.Task.read(w.conn) }))
	}
	return len(reads)
}

// write does the jobs and answers them.
func (w *writer) write(batch []*job) {
	w.store(batch)
	for _, j := range batch {
		j.Finish(j.Task.result)
	}
	w.save(len(batch))
}

// store does the jobs. A panic fails the jobs at hand, and not the process: other calls have answers of inWebo to store. Whether
// those jobs are stored is not known then.
func (w *writer) store(batch []*job) {
	err := otp.CatchPanic(func() error {
		w.commit(batch)
		return nil
	})
	if err != nil {
		w.conn.rollBack()
		_ = failAll(batch, err)
	}
}

// commit runs those of the jobs that may be run, and sets the result of each.
func (w *writer) commit(batch []*job) {
	w.health.check()
	if admitted := w.admit(batch); len(admitted) > 0 {
		start := time.Now()
		err := w.transact(admitted)
		w.observe(len(admitted), time.Since(start), err)
	}
}

// admit refuses leases while there is no reserve, and everything but settles while the store is broken. It returns the other jobs.
func (w *writer) admit(batch []*job) (admitted []*job) {
	broken := w.health.broken()
	unsettled := broken
	if broken != nil && slices.ContainsFunc(batch, isSettle) {
		unsettled = w.rescue(broken)
	}
	noReserve := w.reserve.missing.Load()
	for _, j := range batch {
		switch kind := j.Task.kind; {
		case kind == settle && unsettled != nil:
			j.Task.result = unsettled
		case kind != settle && broken != nil:
			j.Task.result = broken
		case kind == lease && noReserve:
			j.Task.result = untouched(errNoReserve)
		default:
			admitted = append(admitted, j)
		}
	}
	return admitted
}
