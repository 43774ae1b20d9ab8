package replicatest_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// lockSQLite keeps everybody from writing, as another program does that has a transaction open.
func lockSQLite(t *testing.T, store settings) (unlock func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	db, err := sql.Open("sqlite", filepath.Join(store["DATA_DIR"], sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "PRAGMA busy_timeout = 10000")
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
		_ = db.Close()
	}
}

// lockPostgres keeps everybody from writing a device. A caller that waits for that when it ends has lost the connection, and the
// write with it: the server would make the write of a sleeping process on its own.
func lockPostgres(t *testing.T, store settings) (unlock func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, store["DATABASE_URL"])
	if err == nil {
		_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE device IN EXCLUSIVE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err != nil {
			t.Error(err)
		}
		_ = conn.Close(ctx) // and rolls back
	}
}
