package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// server is a PostgreSQL server, with what is between it and pimsd.
type server struct {
	*pgtest.Server
	standby *pgtest.Server   // nil: there is none
	through *toxiproxy.Proxy // delays answers; nil: pimsd is connected to the server itself
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
		s.through, err = distant(s.Host())
	case inReplicatedPostgres:
		if s.standby, err = s.StandbyIn(filepath.Dir(l.scratch)); err == nil {
			err = s.RequireStandby(ctx)
		}
	}
	return s, err
}

// distant returns a proxy whose answers take the distance longer.
func distant(upstream string) (*toxiproxy.Proxy, error) {
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(proxies, "distance", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, err
	}
	later := fmt.Sprintf(`{"type": "latency", "stream": "downstream", "attributes": {"latency": %d}}`, distance.Milliseconds())
	_, err := p.Toxics.AddToxicJson(strings.NewReader(later))
	return p, err
}

// address is the URL of a database as pimsd has it.
func (s *server) address(database string) string {
	if s.through == nil {
		return s.URL(database)
	}
	address, _ := url.Parse(s.URL(database)) // it is well-formed
	address.Host = s.through.Listen
	return address.String()
}

func (s *server) close() (err error) {
	if s.through != nil {
		s.through.Stop()
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
