package postgres_test

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

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
			pooled := server.StartPooler(t, database, c.mode, c.settings...).URL
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
	pooled := server.StartPooler(t, server.Database(t), "session", "default_pool_size = 1").URL
	_, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: pooled})
	if err == nil || !strings.Contains(err.Error(), "default_pool_size") {
		t.Errorf("%v", err)
	}
}

// whole asks for what `make test-all` runs, where `make test` runs the parts that a pooler can change.
var whole = flag.Bool("whole", false, "hold the store behind a pooler against its whole contract")

// Over sessions that are kept, the store is what it is without a pooler.
func TestPgBouncerThatPoolsSessions(t *testing.T) {
	only := []string{ // sessions, their statements and cancellations; TestContract has the rest
		"create, replace and fetch", "updates at once", "canceled in the middle", "following the audit log", "the doubt epoch",
	}
	if *whole {
		only = nil
	}
	storetest.Run(t, func(t *testing.T) storetest.Instance {
		return instance(t, server.StartPooler(t, server.Database(t), "session", "default_pool_size = 100").URL)
	}, only...)
}

// A write that is not replicated is noticed through a pooler as well.
func TestAStandbyBehindPgBouncer(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.StartPooler(t, own.Database(t), "session", "default_pool_size = 40").URL)
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

// A pooler that is told to pool transactions while the store is open makes the store unready, by name. No write is stored in a session
// that lacks the settings which protect it, whatever the URL says about prepared statements.
func TestPgBouncerThatIsReloadedToPoolTransactions(t *testing.T) {
	for name, more := range map[string]string{"": "", "exec mode": "&default_query_exec_mode=exec"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := ownServer(t)
			database := own.Database(t)
			pooler := own.StartPooler(t, database, "session", "default_pool_size = 40")
			store := open(t, secret.NewText(pooler.URL.Reveal()+more))
			if err := store.Create(t.Context(), write(1)); err != nil {
				t.Fatal(err)
			}
			useAllConnections(t, store)
			if err := store.Writable(t.Context()); err != nil {
				t.Fatal(err)
			}
			pooler.ReloadAs(t, "session", "transaction")
			for tries := 0; ; tries++ {
				err := store.Writable(t.Context())
				if err != nil && strings.Contains(err.Error(), "pool_mode = session in PgBouncer") {
					break
				}
				if tries == 1000 {
					t.Fatalf("the store is still ready: %v", err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			// New sessions of the pooler have the settings of the server, which are loose, and not those that pimsd made.
			set(t, own, "synchronous_commit = off")
			own.Exec(t, own.URL("postgres"), "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'pimsd'")
			own.Exec(t, database.Reveal(), "CREATE FUNCTION loose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "+
				"IF current_setting('synchronous_commit') = 'off' THEN RAISE 'a loose write'; END IF; RETURN NEW; END $$",
				"CREATE TRIGGER loose AFTER UPDATE ON device FOR EACH ROW EXECUTE FUNCTION loose()")
			for n := range 50 {
				err := store.Replace(t.Context(), write(uint64(n+2)))
				if err != nil && strings.Contains(err.Error(), "a loose write") {
					t.Fatal("a write was about to be stored in a session that is not durable")
				}
			}
		})
	}
}
