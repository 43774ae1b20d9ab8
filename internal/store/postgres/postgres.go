// Package postgres keeps device records, the audit log and API keys in a PostgreSQL database: otp.Store and authn.KeyStore for several
// replicas of the service.
//
// Writes that wait are sent as one batch: one statement, and so one transaction, durable when the server answers. A server or user with
// synchronous_commit off is refused. Records are compared with the database's clock, so that the clocks of replicas need not agree. The
// package must not keep a connection or a transaction between two calls, and must not decide about a record.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Store is a database that is open. Its methods may be called at any time from anywhere.
type Store struct {
	pool    *pgxpool.Pool
	limits  connLimits
	writes  *queue[writeTask]
	reads   *queue[readTask]
	closing sync.Once
}

var (
	_ otp.Store      = (*Store)(nil)
	_ authn.KeyStore = (*Store)(nil)
)

// Options say how a store is opened.
type Options struct {
	URL secret.Text
	// AnyServer opens a database that another server has by now, for a caller that puts every device in doubt.
	AnyServer bool
	// SynchronousFailover means that only synchronous standbys are ever promoted, so that a promotion loses no step.
	SynchronousFailover bool
	// BeforeMigration, when it is not nil, is called before an older schema is migrated. After its error nothing is migrated.
	BeforeMigration func(context.Context) error
}

// Open opens the database, which must have this version's schema. Every error is a sentence for the operator.
func Open(ctx context.Context, o Options) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return open(ctx, o, func(ctx context.Context, conn *pgx.Conn) error { return builtIn().check(ctx, conn) })
}

// migrateTimeout bounds bringing the schema up to date, waiting for another replica that does so included.
const migrateTimeout = 15 * time.Minute

// OpenOrCreate opens the database, and makes or migrates its schema; that is for the service alone. Replicas that start
// together wait for the first.
func OpenOrCreate(ctx context.Context, o Options) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	return open(ctx, o, func(ctx context.Context, conn *pgx.Conn) error {
		m := builtIn()
		if o.BeforeMigration != nil && errors.Is(m.check(ctx, conn), otp.ErrOldSchema) {
			if err := o.BeforeMigration(ctx); err != nil {
				return err
			}
		}
		return m.bringUpToDate(ctx, conn)
	})
}

func open(ctx context.Context, o Options, prepare func(context.Context, *pgx.Conn) error) (*Store, error) {
	config, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s := &Store{pool: pool, limits: newConnLimits()}
	s.writes = newQueue(accountOfWrite, s.sendWrites)
	s.reads = newQueue(noKey, s.sendReads)
	err = s.run(ctx, s.limits.others, func(ctx context.Context, conn *pgx.Conn) error {
		if err := s.refuseSharedSessions(ctx, conn); err != nil {
			return err
		}
		if err := prepare(ctx, conn); err != nil {
			return err
		}
		return o.checkServer(ctx, conn) // which it could not without a schema
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", explain(err)), s.Close())
	}
	return s, nil
}

// Close ends the store when the verbs under way have been answered. It may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.writes.close()
		s.reads.close()
		s.pool.Close()
	})
	return nil
}

// Writable proves that a settle would be stored now: that no other session has locked the tables of records and of the audit log, and
// that a write becomes durable. It changes nothing that matters and takes no room.
// It also finds a pooler that no longer keeps a session for each connection.
func (s *Store) Writable(ctx context.Context) error {
	return s.do(ctx, s.limits.writes, "find out whether the store can be written", func(ctx context.Context, conn *pgx.Conn) error {
		if err := s.refuseSharedSessions(ctx, conn); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, probe)
		return err
	})
}

// probe takes the locks of a settle on its tables, of which it changes no row, and changes a row of its own: a statement that changes no
// row proves nothing of durability.
const probe = `WITH settled AS (UPDATE device SET body = body WHERE false), noted AS (UPDATE audit SET step = step WHERE false)
	INSERT INTO house (id, probed_at) SELECT 1, ` + clock + ` WHERE ` + ownSession + `
	ON CONFLICT (id) DO UPDATE SET probed_at = excluded.probed_at`

// clock is the database's time in microseconds.
const clock = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`
