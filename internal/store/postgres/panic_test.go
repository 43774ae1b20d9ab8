package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// A server that crashes in the middle of a write has perhaps stored it.
func TestAServerThatPanics(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.Database(t))
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	wal := filepath.Join(own.Dir(), "data", "pg_wal")
	own.Exec(t, own.URL("postgres"), "CHECKPOINT", "SELECT pg_switch_wal()")
	if err := os.Rename(wal, wal+".away"); err != nil {
		t.Fatal(err)
	}
	err := store.Replace(t.Context(), write(2))
	if err == nil || errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("a write during which the server crashes says %v", err)
	}
	if err := os.Rename(wal+".away", wal); err != nil {
		t.Fatal(err)
	}
}

// A verb that panics, in a call that is answered with an error, keeps no connection.
func TestVerbsThatPanic(t *testing.T) {
	t.Parallel()
	store := open(t, server.Database(t))
	for range 20 { // more than there are connections
		if err := postgres.Panic(t.Context(), store); err == nil || !strings.Contains(err.Error(), "panic_export_test.go") {
			t.Fatalf("the verb returns %v, want an error that names the place of the panic", err)
		}
	}
	if err := store.Writable(t.Context()); err != nil {
		t.Error(err)
	}
}
