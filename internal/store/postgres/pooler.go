package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// errSharedSessions keeps a store from being opened, and from being ready, over a pooler that does not keep a session for each
// client. The settings of a session, which protect what is stored, and its prepared statements would be those of other clients.
var errSharedSessions = errors.New("a pooler is between pimsd and PostgreSQL and gives each transaction another session: " +
	"have it pool sessions (pool_mode = session in PgBouncer), or name the server itself in database_url")

// poolerRounds is how often two connections are asked for their sessions, in case other clients use the pooler as well.
const poolerRounds = 3

// refuseSharedSessions finds out whether a pooler is behind the connection, and if so whether this connection and another
// one each keep a session of their own.
func (s *Store) refuseSharedSessions(ctx context.Context, first *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	session, err := sessionOf(ctx, first)
	if err != nil || session == first.PgConn().PID() { // which a pooler makes up
		return err
	}
	err = s.run(ctx, s.limits.others, func(ctx context.Context, second *pgx.Conn) error {
		return compareSessions(ctx, first, second)
	})
	if _, none := errors.AsType[notSent](err); none {
		return fmt.Errorf("a pooler is between pimsd and PostgreSQL and gives no second session: let it have %d sessions at "+
			"least for each replica (default_pool_size in PgBouncer): %s", maxConnections, err.Error())
	}
	return err
}

// compareSessions asks two connections for their sessions, again and again. The first is asked twice in a row, so that a pooler that
// hands its sessions out in turn shows itself too.
func compareSessions(ctx context.Context, first, second *pgx.Conn) error {
	kept := map[*pgx.Conn]uint32{}
	for range poolerRounds {
		for _, conn := range []*pgx.Conn{first, first, second} {
			now, err := sessionOf(ctx, conn)
			if err != nil {
				return err
			}
			if before, known := kept[conn]; known && now != before {
				return errSharedSessions
			}
			kept[conn] = now
		}
		if kept[first] == kept[second] {
			return errSharedSessions
		}
	}
	return nil
}

// sessionOf returns the number of the server's process that answers the connection.
func sessionOf(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}
