package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A pooler that gives each transaction another session is refused by name when the store is opened, however it hands its
// sessions out and whatever the URL says.
func TestPgBouncerThatPoolsTransactions(t *testing.T) {
	for name, c := range map[string]struct {
		mode, more string
		settings   []string
	}{
		"transaction":             {mode: "transaction"},
		"transaction, exec mode":  {mode: "transaction", more: "&default_query_exec_mode=exec"},
		"transaction, in turn":    {mode: "transaction", settings: []string{"server_round_robin = 1", "min_pool_size = 2"}},
		"transaction, in turn, 3": {mode: "transaction", settings: []string{"server_round_robin = 1", "min_pool_size = 3"}},
		"one session":             {mode: "transaction", settings: []string{"default_pool_size = 1"}},
		"statement":               {mode: "statement"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := server.Database(t)
			pooled := server.StartPooler(t, database, c.mode, c.settings...)
			store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: secret.NewText(pooled.Reveal() + c.more)})
			if err == nil {
				_ = store.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "pool_mode = session in PgBouncer") {
				t.Errorf("%v", err)
			}
			if n := count(t, database, "SELECT count(*) FROM pg_class WHERE relname = 'device'"); n != 0 {
				t.Error("a schema was made through it")
			}
		})
	}
}

// One that has too few sessions says so, instead of waiting.
func TestPgBouncerWithTooFewSessions(t *testing.T) {
	t.Parallel()
	pooled := server.StartPooler(t, server.Database(t), "session", "default_pool_size = 1")
	_, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: pooled})
	if err == nil || !strings.Contains(err.Error(), "default_pool_size") {
		t.Errorf("%v", err)
	}
}

// Over sessions that are kept, the store is what it is without a pooler.
func TestPgBouncerThatPoolsSessions(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Instance {
		return instance(t, server.StartPooler(t, server.Database(t), "session", "default_pool_size = 100"))
	})
}

// A write that is not replicated is noticed through a pooler as well.
func TestAStandbyBehindPgBouncer(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.StartPooler(t, own.Database(t), "session", "default_pool_size = 40"))
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	set(t, own, "synchronous_commit = off")
	set(t, own, "synchronous_standby_names = 'one_that_is_gone'")
	waitForStandbys(t, store)
	done := make(chan error, 1)
	go func() { done <- store.Replace(t.Context(), write(2)) }()
	if err := cancelWaits(t, own, done); err == nil || errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("a wait that was canceled: %v", err)
	}
}
