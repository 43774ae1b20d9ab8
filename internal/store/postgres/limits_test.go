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
