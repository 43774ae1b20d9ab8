package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// CountDoubt counts the devices that are in doubt, those of an earlier doubt epoch, and those whose holder's time is over by the
// database's clock: it has passed, or ends later than any can, so that the clock was set back since. Among so many accounts that
// these take long to find, the number of the last two kinds is up to a minute or two old.
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

// countOverdue reads the whole table: an index of holds would make every write of a record touch every index.
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
	// quickCount is a count that need not rest.
	quickCount = 50 * time.Millisecond
	// pauseFactor is how many times as long as it took a longer count rests, so that it takes a fiftieth of a core at most.
	pauseFactor = 49
	// countTimeout bounds a count.
	countTimeout = 5 * time.Minute
)

// cachedCount is a count that is taken for all who ask, and no more often than it may be.
type cachedCount struct {
	query  func(context.Context) (int, error)
	ctx    context.Context //nolint:containedctx // of the store, which ends the count under way
	cancel context.CancelFunc

	mu       sync.Mutex
	finished *countRun // that went well; nil before the first
	running  *countRun // under way; nil when none is
	nextAt   time.Time // when the next may begin
}

func newCachedCount(take func(context.Context) (int, error)) *cachedCount {
	life, end := context.WithCancel(context.Background())
	return &cachedCount{query: take, ctx: life, cancel: end}
}

// countRun is one count. Its result is there when done is closed.
type countRun struct {
	done  chan struct{}
	count int
	err   error
}

// count returns the newest count there is: one that is taken now, if that is quick, or else the last. For the first it waits as
// long as ctx lets it; the count goes on without it.
func (r *cachedCount) count(ctx context.Context) (int, error) {
	last, now := r.begin()
	if now != nil {
		patience := ctx
		if last != nil {
			var enough context.CancelFunc
			patience, enough = context.WithTimeout(ctx, quickCount)
			defer enough()
		}
		select {
		case <-now.done:
			last = now
		case <-patience.Done():
		}
	}
	if last == nil {
		return 0, errors.New("the devices whose holder's time is over are still being counted")
	}
	return last.count, last.err
}

// begin begins a count, unless one is under way or the last one rests.
func (r *cachedCount) begin() (last, now *countRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil && !time.Now().Before(r.nextAt) {
		r.running = &countRun{done: make(chan struct{})}
		go r.finish(r.running)
	}
	return r.finished, r.running
}

// finish takes the count. One that fails is no reason to rest, and not kept.
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
