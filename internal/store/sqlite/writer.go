package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

const (
	// maxBatch bounds how many writes one transaction takes, and so how long its callers wait for each other.
	maxBatch = 512
	// checkpointEvery is after how many writes the log is written back into the database: 8 to 25 MB of log.
	checkpointEvery = 1024
	// writerPragmas are room for 8 MiB of pages, which fill as they are needed: the inner ones of the trees of a million accounts
	// are 3 MiB, and those of the records between hold and settle are wanted again. And the writer itself waits for other
	// processes.
	writerPragmas = `PRAGMA cache_size = -8192; PRAGMA busy_timeout = 0`
)

var errClosed = errors.New("the store is closed")

// writer is the one that writes, and the one that looks rows up: it has a connection for itself, takes all jobs that wait,
// runs them in one transaction, and answers them when that has become durable or has failed. Before each transaction it does the
// lookups that wait.
type writer struct {
	session
	db      *sql.DB
	path    string
	health  *health
	reserve *reserve
	observe func(writes int, took time.Duration, err error)

	jobs       chan *job
	looks      chan look
	quit, done chan struct{}
	crowd      int // jobs of the newest transaction
	unsaved    int // writes since the log was last written back
	renewal    renewal
}

// change is something to do within a transaction. A refusal, such as a conflict, is the answer to this change alone. A
// failure is one of the database, and undoes what was done in the transaction so far.
type change func(ctx context.Context, on *statements) (refusal, failure error)

// errStored is the refusal of a change that is stored already: it is not done again, and its caller is told that it is done.
var errStored = errors.New("the write is stored already")

// job is a change that waits.
type job struct {
	change  change
	keep    change // what is stored with the change when it can be; nil: nothing
	kind    kind
	dropped bool       // what was to be kept could not be
	unkept  bool       // the last try failed at what was to be kept
	byScan  bool       // it is done without the indexes of the records
	err     error      // what the caller is told, once it is known
	answer  chan error // takes one
}

// kind says what depends on a job.
type kind int

const (
	other  kind = iota
	lease       // what follows it cannot be undone, and needs a settle
	settle      // an answer of inWebo that is lost if it is not stored
)

// strip has the job done without what is to be kept, and reports whether there was any.
func (j *job) strip() bool {
	if j.keep == nil {
		return false
	}
	j.keep, j.dropped = nil, true
	return true
}

// mend has a job that failed alone done in another way, and reports whether there is one: without what is to be kept when
// that failed, and a settle without the indexes of the records when one of them may be damaged.
func (j *job) mend(err error) bool {
	switch {
	case j.unkept:
		return j.strip()
	case j.kind == settle && !j.byScan && isDamage(err):
		j.byScan = true
		return true
	default:
		return false
	}
}

// session is a connection, and what is prepared on it.
type session struct {
	conn    *sql.Conn
	lookups *lookups
	on      *statements
}

// openSession opens the connection of a writer.
func openSession(ctx context.Context, db *sql.DB) (s session, err error) {
	if s.conn, err = db.Conn(ctx); err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if _, err := s.conn.ExecContext(ctx, writerPragmas); err != nil {
		return s, fmt.Errorf("set the writer's connection up: %w", err)
	}
	if s.lookups, err = prepareLookups(ctx, s.conn); err != nil {
		return s, err
	}
	s.on, err = prepareStatements(ctx, s.conn)
	return s, err
}

// close closes the connection, whose pragmas no other part of the store may meet.
func (s session) close() {
	s.lookups.close()
	s.on.close()
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close() // it is closed
}

func (w *writer) start() {
	if w.observe == nil {
		w.observe = func(int, time.Duration, error) {}
	}
	w.jobs, w.looks, w.quit, w.done = make(chan *job), make(chan look), make(chan struct{}), make(chan struct{})
	go w.work()
}

// stop ends the writer after the transaction that is under way. Its connection is closed after that.
func (w *writer) stop() {
	close(w.quit)
	<-w.done
	w.session.close()
}

// do has a change done that is neither a lease nor a settle.
func (w *writer) do(ctx context.Context, c change) error { return w.have(ctx, &job{change: c}) }

// have has a job done and returns its error. When ctx ends first, the job may be done all the same.
func (w *writer) have(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return untouched(err)
	}
	j.answer = make(chan error, 1)
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return untouched(ctx.Err())
	case <-w.quit:
		return untouched(errClosed)
	}
	select {
	case err := <-j.answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("whether the write was stored is not known: %w", ctx.Err())
	}
}

// untouched says of a write that nothing of it is stored.
func untouched(err error) error {
	if errors.Is(err, otp.ErrUntouched) {
		return err
	}
	return fmt.Errorf("%w: %w", otp.ErrUntouched, err)
}

func (w *writer) work() {
	defer close(w.done)
	for {
		select {
		case <-w.quit:
			return
		case read := <-w.looks:
			read(w.lookups)
		case first := <-w.jobs:
			w.answer(w.gather(first))
		}
	}
}

// gather takes the jobs that wait, the first at hand. Among many, it lets those callers run once who are ready to: the
// ones that have just been answered may be about to come back. Nobody waits for anything that is not running already.
func (w *writer) gather(first *job) []*job {
	batch := w.take([]*job{first})
	if w.crowd > 1 {
		runtime.Gosched()
		batch = w.take(batch)
	}
	w.crowd = len(batch)
	return batch
}

// take adds the jobs that wait, up to maxBatch.
func (w *writer) take(batch []*job) []*job {
	for len(batch) < maxBatch {
		select {
		case j := <-w.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// lookUpAll does the lookups that wait, at most so many that writes do not wait for ever.
func (w *writer) lookUpAll() {
	for range maxBatch {
		select {
		case read := <-w.looks:
			read(w.lookups)
		default:
			return
		}
	}
}

// answer does the jobs and answers them. A panic fails the jobs at hand, and not the process: other calls have answers of inWebo
// to store. Whether those jobs are stored is not known then.
func (w *writer) answer(batch []*job) {
	w.lookUpAll()
	err := otp.CatchPanic(func() error {
		w.commit(batch)
		return nil
	})
	if err != nil {
		_ = failAll(batch, w.undo(context.Background(), err))
	}
	for _, j := range batch {
		j.answer <- j.err
	}
	w.save(len(batch))
}

// commit runs those of the jobs that may be run, and sets the error of each.
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
	if broken != nil && slices.ContainsFunc(batch, func(j *job) bool { return j.kind == settle }) {
		unsettled = w.rescue(broken)
	}
	noReserve := w.reserve.missing.Load()
	for _, j := range batch {
		switch {
		case j.kind == settle && unsettled != nil:
			j.err = unsettled
		case j.kind != settle && broken != nil:
			j.err = broken
		case j.kind == lease && noReserve:
			j.err = untouched(errNoReserve)
		default:
			admitted = append(admitted, j)
		}
	}
	return admitted
}
