package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A write that the server has, and the standby that it waits for has not, is not durable, however often it is repeated:
// the standby may become the server.
func TestARepeatWaitsForTheStandbyToo(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.Database(t))
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	set(t, own, "synchronous_standby_names = 'one_that_is_gone'")
	waitForStandbys(t, store)
	w := write(2)
	w.Response = &otp.KeyedResponse{Key: strings.Repeat("a", 64), StoredResponse: otp.StoredResponse{Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("sealed"))}}
	replace := func(ctx context.Context) error { return store.Replace(ctx, w) }
	recall := func(ctx context.Context) error {
		_, err := storetest.Snapshot(ctx, store, "a", w.Response.Key)
		return err
	}
	for n := range 3 {
		if err := within(t, time.Second, replace); err == nil {
			t.Errorf("try %d is answered as durable, and no standby has the write", n+1)
		}
		waitForRevision(t, store, 2)
		if err := within(t, time.Second, recall); err == nil || errors.Is(err, otp.ErrNotFound) {
			t.Errorf("after try %d, the answer that came with it is recalled: %v", n+1, err)
		}
	}
	set(t, own, "synchronous_standby_names = ''")
	if err := within(t, time.Minute, replace); err != nil {
		t.Errorf("with no standby to wait for: %v", err)
	}
	if err := within(t, time.Minute, recall); err != nil {
		t.Errorf("and its answer: %v", err)
	}
	waitForRevision(t, store, 2)
}

// An operator ends what waits for a standby that is away (pg_cancel_backend). PostgreSQL calls the write done then, with a
// warning; it is not, and neither is a repeat that is ended so, until the standby has it.
func TestAWaitForTheStandbyThatIsCanceled(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.Database(t))
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	own.Exec(t, own.URL("postgres"), "ALTER ROLE pimsd SET client_min_messages = error") // warnings are not wanted
	set(t, own, "synchronous_standby_names = 'one_that_is_gone'")
	waitForStandbys(t, store)
	for n := range 3 {
		done := make(chan error, 1)
		go func() { done <- store.Replace(t.Context(), write(2)) }()
		if err := cancelWaits(t, own, done); err == nil || errors.Is(err, otp.ErrNotApplied) || errors.Is(err, otp.ErrConflict) {
			t.Errorf("try %d, whose wait was canceled, says %v; want that its outcome is not known", n+1, err)
		}
		waitForRevision(t, store, 2)
	}
	set(t, own, "synchronous_standby_names = ''")
	if err := within(t, time.Minute, func(ctx context.Context) error { return store.Replace(ctx, write(2)) }); err != nil {
		t.Errorf("with no standby to wait for: %v", err)
	}
}

// cancelWaits cancels what waits for a standby until the write that is told on the channel is done.
func cancelWaits(t *testing.T, own *pgtest.Server, done <-chan error) error {
	t.Helper()
	for {
		own.Exec(t, own.URL("postgres"), "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		select {
		case err := <-done:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A server that is told to be less careful goes on to be careful with connections that were accepted before.
func TestDurabilityCannotBeTakenFromAnOpenStore(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.Database(t))
	set(t, own, "synchronous_commit = off")
	set(t, own, "synchronous_standby_names = 'one_that_is_gone'")
	waitForStandbys(t, store)
}

// set changes a setting of the server, which takes it up soon.
func set(t *testing.T, own *pgtest.Server, setting string) {
	t.Helper()
	own.Exec(t, own.URL("postgres"), "ALTER SYSTEM SET "+setting)
	own.Exec(t, own.URL("postgres"), "SELECT pg_reload_conf()")
}

// waitForStandbys waits until writes wait for a standby that does not come.
func waitForStandbys(t *testing.T, store *postgres.Store) {
	t.Helper()
	for range 1000 {
		if within(t, time.Second, store.Writable) != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no write ever waits for the standby")
}

func within(t *testing.T, timeout time.Duration, do func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return do(ctx)
}

// waitForRevision waits until the server shows the write of a caller that gave up.
func waitForRevision(t *testing.T, store *postgres.Store, want uint64) {
	t.Helper()
	for range 1000 {
		row, _, err := store.Fetch(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if row.Revision == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the row never has revision %d", want)
}
