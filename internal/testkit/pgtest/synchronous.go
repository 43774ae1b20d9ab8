package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// WaitForStandby makes every commit of the server wait for its standby from now on, and returns when the standby is up to date.
// Neither the standby nor a copy of it has that setting, so that one that is promoted takes writes without a standby.
func (s *Server) WaitForStandby(t testing.TB) {
	t.Helper()
	s.Exec(t, s.URL("postgres"), "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
	s.Exec(t, s.URL("postgres"), "SELECT pg_reload_conf()")
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for synchronous := false; !synchronous; time.Sleep(20 * time.Millisecond) {
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')").Scan(&synchronous)
		if err != nil {
			t.Fatal("no standby becomes synchronous: ", err)
		}
	}
}
