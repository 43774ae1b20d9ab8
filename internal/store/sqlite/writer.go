package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
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
	conn    *sql.Conn
	lookups *lookups
	on      *statements
	health  *health
	observe func(writes int, took time.Duration, err error)

	jobs       chan *job
	looks      chan look
	quit, done chan struct{}
	crowd      int // jobs of the newest transaction
	unsaved    int // writes since the log was last written back
}

// change is something to do within a transaction. A refusal, such as a conflict, is the answer to this change alone. A
// failure is one of the database, and undoes what was done in the transaction so far.
type change func(ctx context.Context, on *statements) (refusal, failure error)

// job is a change that waits.
type job struct {
	change change
	err    error      // what the caller is told, once it is known
	answer chan error // takes one
}

func startWriter(ctx context.Context, conn *sql.Conn, h *health, observe func(int, time.Duration, error)) (*writer, error) {
	if _, err := conn.ExecContext(ctx, writerPragmas); err != nil {
		return nil, fmt.Errorf("set the writer's connection up: %w", err)
	}
	l, err := prepareLookups(ctx, conn)
	if err != nil {
		l.close()
		return nil, err
	}
	on, err := prepareStatements(ctx, conn)
	if err != nil {
		l.close()
		return nil, err
	}
	if observe == nil {
		observe = func(int, time.Duration, error) {}
	}
	w := &writer{
		conn: conn, lookups: l, on: on, health: h, observe: observe,
		jobs: make(chan *job), looks: make(chan look), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go w.work()
	return w, nil
}

// stop ends the writer after the transaction that is under way. Its connection is closed after that.
func (w *writer) stop() {
	close(w.quit)
	<-w.done
	w.lookups.close()
	w.on.close()
}

// do has a job done and gives its answer. When ctx ends first, the job may be done all the same.
func (w *writer) do(ctx context.Context, c change) error {
	if err := ctx.Err(); err != nil {
		return untouched(err)
	}
	j := &job{change: c, answer: make(chan error, 1)}
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

// untouched says of a write that the writer never had that nothing of it is stored.
func untouched(err error) error { return fmt.Errorf("%w: %w", otp.ErrUntouched, err) }

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

func (w *writer) answer(batch []*job) {
	w.lookUpAll()
	w.health.check()
	if err := w.health.refusal(); err != nil {
		for _, j := range batch {
			j.answer <- err
		}
		return
	}
	start := time.Now()
	err := w.transact(batch)
	w.observe(len(batch), time.Since(start), err)
	for _, j := range batch {
		j.answer <- j.err
	}
	w.save(len(batch))
}

// save writes the log back into the database when there is enough of it, and tries again after the next transaction
// when readers were in the way. SQLite would do the same by itself, but keep to itself when a sync has failed.
func (w *writer) save(writes int) {
	if w.unsaved += writes; w.unsaved < checkpointEvery || w.health.refusal() != nil {
		return
	}
	complete, err := checkpoint(context.Background(), w.conn)
	if err != nil {
		w.health.note(err)
	}
	if complete {
		w.unsaved = 0
	}
}

// checkpoint writes as much of the log back into the database as readers allow, and syncs it; complete tells whether
// that was all.
func checkpoint(ctx context.Context, conn *sql.Conn) (complete bool, err error) {
	var busy, inLog, written int
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &inLog, &written); err != nil {
		return false, fmt.Errorf("write the log back into the database: %w", err)
	}
	return busy == 0 && inLog == written, nil
}
