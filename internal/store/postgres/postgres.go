// Package postgres keeps device records, the audit log and API keys in a PostgreSQL database: otp.Store and
// authn.KeyStore for several replicas of the service.
//
// Each writing verb is one statement, and so one transaction, durable when the server answers: a server or a user with
// synchronous_commit off is refused. No connection is kept between two verbs. Records are compared with the database's
// clock, so that replicas need not agree on theirs.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const (
	maxConnections = 16
	connectTimeout = 3 * time.Second
	// idleTimeout is below what middleboxes commonly forget a silent connection after.
	idleTimeout = 5 * time.Minute
)

// Store is a database that is open. Its methods may be called at any time from anywhere.
type Store struct {
	pool    *pgxpool.Pool
	overdue *rested
}

var (
	_ otp.Store      = (*Store)(nil)
	_ authn.KeyStore = (*Store)(nil)
)

// Open opens the database, which must have this version's schema. Every error is a sentence for the operator.
func Open(ctx context.Context, url secret.Text) (*Store, error) {
	return open(ctx, url, func(ctx context.Context, conn *pgx.Conn) error { return builtIn().check(ctx, conn) })
}

// OpenOrCreate opens the database, and makes or migrates its schema; that is for the service alone. Replicas that start
// together wait for the first.
func OpenOrCreate(ctx context.Context, url secret.Text) (*Store, error) {
	return open(ctx, url, func(ctx context.Context, conn *pgx.Conn) error { return builtIn().bringUpToDate(ctx, conn) })
}

func open(ctx context.Context, url secret.Text, prepare func(context.Context, *pgx.Conn) error) (*Store, error) {
	config, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errors.New("database_url is not understood: write postgres://user:password@host:port/database")
	}
	if _, set := config.ConnConfig.RuntimeParams["application_name"]; !set {
		config.ConnConfig.RuntimeParams["application_name"] = "pimsd"
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.MaxConns = max(config.MaxConns, maxConnections)
	config.MaxConnIdleTime = idleTimeout
	config.AfterConnect = refuseLooseDurability
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	err = pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return prepare(ctx, conn.Conn()) })
	if err != nil {
		pool.Close()
		return nil, describe("open the database", err)
	}
	s := &Store{pool: pool}
	s.overdue = newRested(s.countOverdue)
	return s, nil
}

// refuseLooseDurability looks at each new connection: what the server answers must survive its crash. The connection
// keeps what it was accepted with, whatever the server's configuration says later.
func refuseLooseDurability(ctx context.Context, conn *pgx.Conn) error {
	var synchronousCommit, fsync string
	const keep = `SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false), current_setting('fsync')`
	err := conn.QueryRow(ctx, keep).Scan(&synchronousCommit, &fsync)
	switch {
	case err != nil:
		return err
	case synchronousCommit == "off":
		return errors.New("synchronous_commit is off: a crash of the server would lose a step of a ratchet, and so a device; " +
			"set it to on for this user (ALTER ROLE … SET synchronous_commit = on)")
	case fsync != "on":
		return errors.New("fsync is off: a crash of the server would lose devices; set it to on in postgresql.conf")
	}
	return nil
}

// Close ends the store when the verbs under way have been answered.
func (s *Store) Close() error {
	s.overdue.end()
	s.pool.Close()
	return nil
}

// Writable proves that a write becomes durable now, by making one that changes nothing and takes no room.
func (s *Store) Writable(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, probe); err != nil {
		return describe("find out whether the store can be written", err)
	}
	return nil
}

// probe changes nothing that matters, and takes no room.
const probe = `UPDATE house SET probed_at = ` + clock + ` WHERE id = 1`

// clock is the database's time in microseconds.
const clock = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`
