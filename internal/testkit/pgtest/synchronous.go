package pgtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// WaitForStandby is RequireStandby for a test.
func (s *Server) WaitForStandby(t testing.TB) {
	t.Helper()
	if err := s.RequireStandby(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// RequireStandby makes every commit of the server wait for its standby from now on, and returns when the standby is up to date.
// Neither the standby nor a copy of it has that setting, so that one that is promoted takes writes without a standby.
func (s *Server) RequireStandby(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
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
	for synchronous := false; !synchronous; time.Sleep(20 * time.Millisecond) {
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')").Scan(&synchronous)
		if err != nil {
			return fmt.Errorf("no standby becomes synchronous: %w", err)
		}
	}
	return nil
}
