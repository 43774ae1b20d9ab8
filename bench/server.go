package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// server is a PostgreSQL server, with what is between it and pimsd.
type server struct {
	*pgtest.Server
	standby *pgtest.Server // nil: there is none
	through net.Listener   // of a proxy that delays answers; nil: pimsd is connected to the server itself
}

// distance is how much longer an answer of a distant server takes.
const distance = time.Millisecond

// server returns the server for stores of that kind, which it starts for the first of them.
func (l *env) server(ctx context.Context, kind string) (_ *server, err error) {
	if s := l.servers[kind]; s != nil {
		return s, nil
	}
	s := &server{}
	if s.Server, err = pgtest.StartIn(filepath.Dir(l.scratch)); err != nil {
		return nil, err
	}
	l.servers[kind] = s // close ends what is started so far
	switch kind {
	case inDistantPostgres:
		if s.through, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err == nil {
			go s.passOn()
		}
	case inReplicatedPostgres:
		if s.standby, err = s.StandbyIn(filepath.Dir(l.scratch)); err == nil {
			err = s.RequireStandby(ctx)
		}
	}
	return s, err
}

// address is the URL of a database as pimsd has it.
func (s *server) address(database string) string {
	if s.through == nil {
		return s.URL(database)
	}
	address, _ := url.Parse(s.URL(database)) // it is well-formed
	address.Host = s.through.Addr().String()
	return address.String()
}

func (s *server) close() (err error) {
	if s.through != nil {
		err = s.through.Close()
	}
	err = errors.Join(err, s.Remove())
	if s.standby != nil {
		err = errors.Join(err, s.standby.Remove())
	}
	return err
}

// exec runs a statement in the server's own database.
func (s *server) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// statisticsDelay is how long a session of the server may be idle until it reports what it has done.
const statisticsDelay = 11 * time.Second

// count adds what the server has done in the database so far. Each of pimsd's round trips is a transaction of the server.
func (s *server) count(ctx context.Context, database string, c *counted) error {
	time.Sleep(statisticsDelay)
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	const done = `SELECT xact_commit + xact_rollback, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8
		FROM pg_stat_database WHERE datname = $1`
	err = conn.QueryRow(ctx, done, database).Scan(&c.RoundTrips, &c.Log)
	return errors.Join(err, conn.Close(ctx))
}

// passOn passes the connections to the proxy on to the server, until the proxy is closed.
func (s *server) passOn() {
	for {
		client, err := s.through.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", s.Host()) //nolint:noctx // on loopback, for the time of a run
		if err != nil {
			_ = client.Close()
			continue
		}
		go func() {
			_, _ = io.Copy(upstream, client)
			_ = upstream.Close()
		}()
		go passLater(client, upstream)
	}
}

// passLater passes on what one side sends, each part of it after the distance, and closes the other side at its end.
func passLater(to, from net.Conn) {
	type part struct {
		text []byte
		due  time.Time
	}
	parts := make(chan part, 1024)
	go func() {
		defer func() { _ = to.Close() }()
		for p := range parts {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.text); err != nil {
				_ = from.Close()
			}
		}
	}()
	defer close(parts)
	for {
		text := make([]byte, 32<<10)
		n, err := from.Read(text)
		if err != nil {
			return
		}
		parts <- part{text[:n], time.Now().Add(distance)}
	}
}
