package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// CountDoubt returns the number of devices in doubt. Three kinds count: those with the flag; those of an earlier doubt epoch; and those
// with an expired lease by the database's clock, or a lease that ends later than any can, because the clock was set back since. The
// first kind is counted now. The other two need a scan of the table; where that is slow, their number is up to a minute or two old.
func (s *Store) CountDoubt(ctx context.Context) (count int, err error) {
	const inDoubt = `SELECT count(*) FROM device WHERE in_doubt`
	if err := s.queryRow(ctx, s.limits.others, "count the devices in doubt", inDoubt, nil, []any{&count}); err != nil {
		return 0, err
	}
	overdue, err := s.overdue.count(ctx)
	if err != nil {
		return 0, err
	}
	return count + overdue, nil
}

// countOverdue counts the second and the third kind. It reads the whole table: an index of leases would make every write of a record
// write every index.
func (s *Store) countOverdue(ctx context.Context) (count int, err error) {
	const (
		what    = "count the devices whose holder's time is over"
		overdue = `SELECT count(*) FROM device WHERE NOT in_doubt AND (held_until < ` + clock + ` OR held_until > ` + clock + ` + $1
			OR epoch BETWEEN 1 AND (SELECT number - 1 FROM doubt_epoch))`
	)
	err = s.run(ctx, s.limits.others, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, overdue, otp.MaxLease.Microseconds()).Scan(&count)
	})
	return count, describe(what, err)
}

const (
	// quickCount is the longest count that is not followed by a pause.
	quickCount = 50 * time.Millisecond
	// pauseFactor is the length of the pause after a longer count, in durations of that count: counting takes a fiftieth of a core at most.
	pauseFactor = 49
	// countTimeout bounds a count.
	countTimeout = 5 * time.Minute
)

// cachedCount runs one query for all its callers, and pauses after a slow one:
//
//	      begin, if nextAt has passed          finish (after a slow query, nextAt is pauseFactor times its duration later)
//	idle ──────────────────────────▶ running ──────────────────────────▶ idle
//
// A query that fails changes neither the finished count nor nextAt.
type cachedCount struct {
	query  func(context.Context) (int, error)
	ctx    context.Context //nolint:containedctx // of the store; its end ends the running query
	cancel context.CancelFunc

	mu       sync.Mutex
	finished *countRun // the newest without an error; nil before the first
	running  *countRun // nil when none is
	nextAt   time.Time // when the next may start
}

func newCachedCount(take func(context.Context) (int, error)) *cachedCount {
	life, end := context.WithCancel(context.Background())
	return &cachedCount{query: take, ctx: life, cancel: end}
}

// countRun is one run of the query. count and err may be read when done is closed.
type countRun struct {
	done  chan struct{}
	count int
	err   error
}

// count starts a query if one may start, and returns the newest count: that of the running query if it ends within quickCount, or else
// the finished one. Without a finished one it waits for the running query until ctx ends.
func (r *cachedCount) count(ctx context.Context) (int, error) {
	last, now := r.begin()
	if now != nil {
		wait := ctx
		if last != nil {
			var enough context.CancelFunc
			wait, enough = context.WithTimeout(ctx, quickCount)
			defer enough()
		}
		select {
		case <-now.done:
			last = now
		case <-wait.Done():
		}
	}
	if last == nil {
		return 0, errors.New("the devices whose holder's time is over are still being counted")
	}
	return last.count, last.err
}

// begin starts a query, unless one runs or nextAt has not passed. It returns the finished and the running count; either may be nil.
func (r *cachedCount) begin() (last, now *countRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil && !time.Now().Before(r.nextAt) {
		r.running = &countRun{done: make(chan struct{})}
		go r.finish(r.running)
	}
	return r.finished, r.running
}

// finish runs the query, and stores its count if it did not fail.
func (r *cachedCount) finish(t *countRun) {
	defer close(t.done)
	ctx, cancel := context.WithTimeout(r.ctx, countTimeout)
	defer cancel()
	began := time.Now()
	t.err = otp.CatchPanic(func() (err error) {
		t.count, err = r.query(ctx)
		return err
	})
	took := time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = nil
	if t.err != nil {
		return
	}
	if r.finished = t; took > quickCount {
		r.nextAt = time.Now().Add(pauseFactor * took)
	}
}
