package pgtest

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// RequireStandby makes every commit of the server wait for its standby from now on, and returns when the standby is up to date.
// Neither the standby nor a copy of it has that setting, so that one that is promoted takes writes without a standby.
func (s *Server) RequireStandby(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return poll(ctx, func(ctx context.Context) error {
		var synchronous bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')").Scan(&synchronous)
		if err == nil && !synchronous {
			err = errors.New("no standby becomes synchronous")
		}
		return err
	})
}
