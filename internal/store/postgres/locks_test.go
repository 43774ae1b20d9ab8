package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// Accounts whose rows another session has locked, and leaves locked, keep their callers waiting and no others.
func TestLockedRowsStopNoOtherAccount(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	locked := createAccounts(t, store, "locked", 8)
	other := createAccounts(t, store, "other", 1)[0]
	lock(t, url, "SELECT FROM device WHERE account LIKE 'locked%' FOR UPDATE")

	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer cancel()
	for _, account := range locked {
		callers.Go(func() {
			for ctx.Err() == nil {
				if err := store.Replace(ctx, writeOf(account, 2)); err == nil {
					t.Error("a row that is locked was written")
				}
			}
		})
	}
	waitForCount(t, url, len(locked)/3, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	for n := range uint64(3) {
		err := store.Create(t.Context(), writeOf(otp.Account(fmt.Sprint("new ", n)), 1))
		repeated := writeOf(other, 2) // what has become of it must be found out
		err = errors.Join(err, store.Replace(t.Context(), writeOf(other, n+2)), store.Writable(t.Context()))
		if err = errors.Join(err, store.Replace(t.Context(), repeated)); err != nil {
			t.Error(err)
		}
	}
}

// Look-ups that hang, as many as are sent at the same time, keep no write waiting. The server ends each after some seconds: a busy machine
// may need more than one try to write before that.
func TestWritesDoNotWaitForLookups(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	account := createAccounts(t, store, "account", 1)[0]
	lock(t, url, "LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE")
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer cancel()
	for range 300 {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = store.KeyByID(ctx, "none")
			}
		})
	}
	const waiting = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for try := range uint64(5) {
		waitForCount(t, url, 4, waiting)
		began := count(t, url, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`)
		if err := store.Replace(t.Context(), writeOf(account, try+2)); err != nil {
			t.Error(err)
		}
		if count(t, url, waiting+fmt.Sprintf(` AND query_start < to_timestamp(%d / 1000000.0)`, began)) >= 4 {
			return
		}
	}
	t.Error("no write was stored while look-ups hung")
}

// A store is not writable while another session has locked a table that a settle needs.
func TestWritableNeedsWhatASettleNeeds(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"device", "audit"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			store := open(t, url)
			if err := store.Writable(t.Context()); err != nil {
				t.Fatal(err)
			}
			lock(t, url, "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := store.Writable(ctx); err == nil {
				t.Errorf("the store is writable while %s is locked", table)
			}
		})
	}
}

// The commit of a transaction that adds to the audit log is no message of its own: a process that stops before it would send that keeps
// the lock of the log, and all other writes wait.
func TestCommitComesWithTheAuditEntry(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, server.Database(t))
	open(t, url).Close()
	proxy.SilenceAt("commit\x00")
	store, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	w := writeOf("decided", 1)
	w.Claim, w.History = &otp.Claim{Serial: "serial", Active: true}, &otp.History{Serial: "serial"}
	if err := store.Create(t.Context(), w); err != nil {
		t.Error(err)
	}
	added := postgres.AccountContents{Row: writeOf("added", 1).Row}
	if err := store.AddAccount(t.Context(), added, writeOf("added", 1).AuditEntry); err != nil {
		t.Error(err)
	}
	w = writeOf("refused", 1)
	w.Claim, w.History = &otp.Claim{Serial: "serial", Active: true}, &otp.History{Serial: "serial"}
	if err := store.Create(t.Context(), w); !errors.Is(err, otp.ErrHistoryChanged) {
		t.Errorf("an outdated history: %v", err)
	}
	if err := store.AddAccount(t.Context(), added, writeOf("added", 1).AuditEntry); !errors.Is(err, otp.ErrExists) {
		t.Errorf("an account that is there: %v", err)
	}
	if err := store.Create(t.Context(), writeOf("next", 1)); err != nil {
		t.Error(err)
	}
}

// A response that another session has locked stops no write but the one that takes its place.
func TestALockedResponseStopsNoOtherAccount(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	account := createAccounts(t, store, "locked", 1)[0]
	keeping := func(revision uint64, isOTP bool) otp.Write {
		w := writeOf(account, revision)
		w.Response = &otp.KeyedResponse{Key: strings.Repeat("a", 64), IsOTP: isOTP, StoredResponse: otp.StoredResponse{
			At: time.Now(), Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("response")),
		}}
		return w
	}
	if err := store.Replace(t.Context(), keeping(2, false)); err != nil {
		t.Fatal(err)
	}
	lock(t, url, "SELECT FROM answer FOR UPDATE")
	done := make(chan error)
	go func() { done <- store.Replace(t.Context(), keeping(3, true)) }()
	waitForCount(t, url, 1, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	if n := count(t, url, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
		(SELECT oid FROM pg_database WHERE datname = current_database())`); n != 0 {
		t.Error("the write that waits has the lock that all writes need")
	}
	if err := <-done; !errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("a write that needs a locked response: %v; want ErrUntouched", err)
	}
}

// A process that is stopped in the middle of a transaction keeps the locks of it for a while only.
func TestAProcessThatStopsInATransaction(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	account := createAccounts(t, store, "a", 1)[0]
	proxy, through := pgtest.NewProxy(t, url)
	proxy.SilenceAt("Q\x00\x00\x00\x0bcommit") // the message for the whole statement
	ctx, cancel := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	defer starting.Wait()
	defer cancel()
	starting.Go(func() {
		if stopped, err := postgres.OpenOrCreate(ctx, postgres.Options{URL: through}); err == nil {
			_ = stopped.Close()
			t.Error("it is open")
		}
	})
	waitForCount(t, url, 1, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`)
	deadline := time.Now().Add(time.Minute)
	for err := errors.New("none"); err != nil; {
		if err = store.Replace(t.Context(), writeOf(account, 2)); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// createAccounts stores the first rows of some accounts, whose names begin alike.
func createAccounts(t *testing.T, store *postgres.Store, prefix string, n int) (accounts []otp.Account) {
	t.Helper()
	for i := range n {
		accounts = append(accounts, otp.Account(fmt.Sprint(prefix, " ", i)))
		if err := store.Create(t.Context(), writeOf(accounts[i], 1)); err != nil {
			t.Fatal(err)
		}
	}
	return accounts
}

// lock opens a session that runs a statement in a transaction, which ends with the test.
func lock(t *testing.T, url secret.Text, statement string) {
	t.Helper()
	session, err := pgx.Connect(t.Context(), url.Reveal())
	if err == nil {
		_, err = session.Exec(t.Context(), "BEGIN; "+statement)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(context.Background()) })
}

// waitForCount waits until a query counts as many rows or more.
func waitForCount(t *testing.T, url secret.Text, want int, query string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); count(t, url, query) < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never %d: %s", want, query)
		}
	}
}
