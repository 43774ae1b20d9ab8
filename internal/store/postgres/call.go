package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// callTimeout bounds each call of the store, whatever its caller allows.
	callTimeout = 5 * time.Second
	// pingTimeout bounds the question whether a connection that has been idle still works.
	pingTimeout = time.Second
	// connectPause is before the second attempt to get a connection while the server allows no more; later pauses are longer, up
	// to maxConnectPause.
	connectPause    = 10 * time.Millisecond
	maxConnectPause = 300 * time.Millisecond
	// idleBeforePing is how long a connection may be idle before it is asked.
	idleBeforePing = time.Second
)

// The connections that each kind of work may use at the same time.
const (
	batchConnections  = 4
	singleConnections = 3
	writeConnections  = 2
	lookupConnections = 4
	otherConnections  = 3
	maxConnections    = batchConnections + singleConnections + writeConnections + lookupConnections + otherConnections
)

// connLimits divide the connections, so that no kind of work ever waits for one that another kind has: least of all the
// settling of an answer of inWebo for look-ups.
type connLimits struct {
	batches connLimit // of writes of records: leases and settles
	singles connLimit // of one record, which may have to wait for another session
	writes  connLimit // that wait for no other session: first records, and what finds out what became of a write
	lookups connLimit // that every call makes
	others  connLimit
}

func newConnLimits() connLimits {
	return connLimits{
		batches: make(connLimit, batchConnections), singles: make(connLimit, singleConnections), writes: make(connLimit, writeConnections),
		lookups: make(connLimit, lookupConnections), others: make(connLimit, otherConnections),
	}
}

// connLimit has room for as many tokens as there are connections for one kind of work.
type connLimit chan struct{}

// do runs work on a connection, for callTimeout at most. what says in the error what could not be done.
func (s *Store) do(ctx context.Context, l connLimit, what string, work func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return describe(what, s.run(ctx, l, work))
}

// run runs work on a connection and returns its error as it is, or a notSent.
func (s *Store) run(ctx context.Context, l connLimit, work func(context.Context, *pgx.Conn) error) error {
	select {
	case l <- struct{}{}:
		defer func() { <-l }()
	case <-ctx.Done():
		return notSent{ctx.Err()}
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return notSent{err}
	}
	returned := false
	defer func() {
		if !returned { // work has panicked, and its connection is in the middle of something
			discard(conn)
		}
	}()
	state := conn.Conn().PgConn().CustomData()
	delete(state, notReplicated)
	err = work(ctx, conn.Conn())
	returned = true
	if _, reported := state[notReplicated]; reported && err == nil {
		err = errNotReplicated
	}
	s.release(ctx, conn, err)
	return err
}

// exec is do for one statement of which no result is wanted.
func (s *Store) exec(ctx context.Context, l connLimit, what, statement string, args ...any) error {
	_, err := s.execCount(ctx, l, what, statement, args...)
	return err
}

// execCount is do for one statement, and returns how many rows it changed.
func (s *Store) execCount(ctx context.Context, l connLimit, what, statement string, args ...any) (rows int64, err error) {
	err = s.do(ctx, l, what, func(ctx context.Context, conn *pgx.Conn) error {
		result, err := conn.Exec(ctx, statement, args...)
		rows = result.RowsAffected()
		return err
	})
	return rows, err
}

// queryRow is do for a statement that returns one row, which is scanned into the destinations to.
func (s *Store) queryRow(ctx context.Context, l connLimit, what, statement string, args, to []any) error {
	return s.do(ctx, l, what, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, statement, args...).Scan(to...)
	})
}

// query is do for a statement that returns rows.
func query[T any](
	ctx context.Context, s *Store, l connLimit, what string, scan pgx.RowToFunc[T], statement string, args ...any,
) (found []T, err error) {
	err = s.do(ctx, l, what, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, statement, args...)
		if err == nil {
			found, err = pgx.CollectRows(rows, scan)
		}
		return err
	})
	return found, err
}

// acquire returns a connection that works. Where one that has been idle does not answer, the others are as old: all of
// them are given up. Where the server allows no more connections than there are, it waits for one of them.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	for wait := connectPause; ; wait = min(2*wait, maxConnectPause) {
		conn, err := s.pool.Acquire(ctx)
		if hasCode(err, tooManyConnections) && s.pool.Stat().TotalConns() > 0 && pause(ctx, wait) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if idleTime(conn.Conn()) < idleBeforePing {
			return conn, nil
		}
		pingCtx, cancel := context.WithTimeout(ctx, pingTimeout)
		err = conn.Ping(pingCtx)
		cancel()
		if err == nil {
			return conn, nil
		}
		discard(conn)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.pool.Reset()
	}
}

// pause waits, and reports whether ctx has not ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// release makes the connection available to the next call, if it still works. A server that says of a write that it can
// only be read has been demoted: all connections are given up, so that the next ones are made to the host that takes
// writes. So they are when a connection has ended before ctx: a server that stops ends all of them.
func (s *Store) release(ctx context.Context, conn *pgxpool.Conn, err error) {
	demoted, ended := isReadOnly(err), conn.Conn().IsClosed()
	if demoted || ended {
		discard(conn)
	} else {
		markUsed(conn.Conn())
		conn.Release()
	}
	if demoted || ended && ctx.Err() == nil {
		s.pool.Reset()
	}
}

// lastUsed is the key under which a connection has the time of its last use.
const lastUsed = "pimsd last used"

func markUsed(conn *pgx.Conn) { conn.PgConn().CustomData()[lastUsed] = time.Now() }

// idleTime returns how long the connection, which was marked when it was made, has not been used.
func idleTime(conn *pgx.Conn) time.Duration {
	used, _ := conn.PgConn().CustomData()[lastUsed].(time.Time)
	return time.Since(used)
}

// discard takes the place of a connection that has failed from the pool at once: released, it would keep its place for as
// long as the driver tries to say goodbye to a server that may not answer.
func discard(conn *pgxpool.Conn) {
	broken := conn.Hijack()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
		defer cancel()
		_ = broken.Close(ctx) // there is nothing to be done about a connection that cannot be closed in order
	}()
}
