package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// A promotion raises the epoch before anything is read from the new server, once for all connections.
func TestPromotionRaisesTheEpoch(t *testing.T) {
	primary := ownServer(t)
	database := primary.Database(t)
	store := open(t, database)
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	standby := standbyOf(t, primary)
	hosts := onHosts(t, database, "", primary, standby)
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	noticing, err := postgres.Open(t.Context(), postgres.Options{URL: hosts})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = noticing.Close() }()
	useAllConnections(t, noticing)
	wantEpoch(t, noticing, 2, "promotion")
	row, _, err := noticing.Fetch(t.Context(), "a")
	if err != nil || row.Epoch != 1 || row.StoreEpoch.Number != 2 {
		t.Errorf("the row is of epoch %d in %+v (%v)", row.Epoch, row.StoreEpoch, err)
	}
	wantPromotionNoted(t, noticing, "every device is in doubt")
}

// A promotion raises the epoch for a store that is open, too, before anything is read over a new connection.
func TestPromotionUnderAnOpenStore(t *testing.T) {
	t.Parallel()
	database := server.Database(t)
	store := open(t, database)
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, database.Reveal(), "UPDATE doubt_epoch SET timeline = timeline - 1",
		`SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	callUntilDone(t, func(ctx context.Context) error {
		row, _, err := store.Fetch(ctx, "a")
		if err == nil && row.StoreEpoch.Number != 2 {
			t.Errorf("the row is read in the epoch %+v", row.StoreEpoch)
		}
		return err
	})
	wantEpoch(t, store, 2, "promotion")
}

// Where only synchronous standbys are promoted, a promotion is noted once and the epoch stays.
func TestSynchronousFailoverKeepsTheEpoch(t *testing.T) {
	database := server.Database(t)
	open(t, database)
	server.Exec(t, database.Reveal(), "UPDATE doubt_epoch SET timeline = timeline - 1")
	for range 2 {
		store, err := postgres.Open(t.Context(), postgres.Options{URL: database, SynchronousFailover: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		useAllConnections(t, store)
		wantEpoch(t, store, 1, "")
		wantPromotionNoted(t, store, "only synchronous standbys are promoted: no device is in doubt")
	}
	wantEpoch(t, open(t, database), 1, "") // also for a process without the setting that comes later
}

func wantPromotionNoted(t *testing.T, store *postgres.Store, want string) {
	t.Helper()
	entries, err := store.AuditAfter(t.Context(), 0, 1000)
	var outcomes []string
	for _, entry := range entries {
		if entry.Action == "promotion" {
			outcomes = append(outcomes, entry.Outcome)
		}
	}
	if err != nil || len(outcomes) != 1 || outcomes[0] != want {
		t.Errorf("the audit log has of promotions %q (%v), want %q once", outcomes, err, want)
	}
}

// A copy of the database on another cluster is refused until every device is in doubt.
func TestAnotherClusterIsRefused(t *testing.T) {
	database := server.Database(t)
	if err := open(t, database).Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, database.Reveal(), "UPDATE doubt_epoch SET system_identifier = 42")
	for name, open := range map[string]func() (*postgres.Store, error){
		"service": func() (*postgres.Store, error) {
			return postgres.OpenOrCreate(t.Context(), postgres.Options{URL: database})
		},
		"command": func() (*postgres.Store, error) { return postgres.Open(t.Context(), postgres.Options{URL: database}) },
	} {
		if _, err := open(); err == nil || !strings.Contains(err.Error(), "pimsd account doubt --all") {
			t.Errorf("%s: %v", name, err)
		}
	}
	moved, err := postgres.Open(t.Context(), postgres.Options{URL: database, AnyServer: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = moved.Close() }()
	if err := moved.RaiseEpoch(t.Context(), otp.AuditEntry{Caller: "test", Action: "doubt-all"}); err != nil {
		t.Fatal(err)
	}
	wantEpoch(t, open(t, database), 2, "doubt-all")
}

// An ordinary role, which owns the tables and nothing else, notices promotions.
func TestOrdinaryRoleReadsTheTimeline(t *testing.T) {
	database := server.Database(t)
	server.Exec(t, database.Reveal(), "CREATE ROLE ordinary LOGIN", "GRANT CREATE ON SCHEMA public TO ordinary")
	ordinary := strings.Replace(database.Reveal(), "pimsd@", "ordinary@", 1)
	store := open(t, secret.NewText(ordinary))
	server.Exec(t, database.Reveal(), "UPDATE doubt_epoch SET timeline = timeline - 1")
	wantEpoch(t, store, 1, "")
	wantEpoch(t, open(t, secret.NewText(ordinary)), 2, "promotion")
}

func wantEpoch(t *testing.T, store *postgres.Store, number uint64, cause string) {
	t.Helper()
	if epoch, err := store.Epoch(t.Context()); err != nil || epoch.Number != number || epoch.Cause != cause {
		t.Errorf("the epoch is %+v (%v), want number %d because of %q", epoch, err, number, cause)
	}
}
