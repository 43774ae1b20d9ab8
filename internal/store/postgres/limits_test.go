package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

// Where the server allows one connection only, calls share it: none fails because others are under way.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	server.Exec(t, url.Reveal(), "CREATE ROLE single LOGIN CONNECTION LIMIT 1", "GRANT ALL ON SCHEMA public TO single")
	store := open(t, secret.NewText(strings.Replace(url.Reveal(), "pimsd@", "single@", 1)))
	var calls sync.WaitGroup
	for _, account := range createAccounts(t, store, "a", 10) {
		calls.Go(func() {
			for revision := range uint64(20) {
				_, _, err := store.KeyByID(t.Context(), "none")
				if err := errors.Join(unless(err, authn.ErrNoKey), store.Replace(t.Context(), writeOf(account, revision+2))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	calls.Wait()
}

// A call that waits for the one connection that the server allows does not ask for another one all the time.
func TestWaitForConnection(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	server.Exec(t, url.Reveal(), "CREATE ROLE waiting LOGIN CONNECTION LIMIT 1", "GRANT ALL ON SCHEMA public TO waiting")
	seen, through := observeTraffic(t, secret.NewText(strings.Replace(url.Reveal(), "pimsd@", "waiting@", 1)))
	store := open(t, through)
	createAccounts(t, store, "a", 1)
	lock(t, url, "LOCK TABLE api_key")
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = store.ListKeys(t.Context()) }) // has the connection until the server ends its wait, in two seconds
	waitForCount(t, url, 1, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	before := seen.connections.Load()
	if _, err := store.List(t.Context(), "", 1); err != nil {
		t.Error(err)
	}
	waiting.Wait()
	const many = 50
	if n := seen.connections.Load() - before; n == 0 || n > many {
		t.Errorf("a call that waited has asked for a connection %d times", n)
	}
}

// The proof that a write becomes durable is a write, also where a restore has left out the row that it writes.
func TestWritableAlwaysWrites(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	server.Exec(t, url.Reveal(), "DELETE FROM house")
	if err := store.Writable(t.Context()); err != nil {
		t.Error(err)
	}
	if n := count(t, url, "SELECT count(*) FROM house WHERE probed_at > 0"); n != 1 {
		t.Errorf("%d rows were written, and the store counts as writable", n)
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	store := open(t, server.Database(t)) // which closes it once more
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
