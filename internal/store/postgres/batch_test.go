package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// replaceAll replaces the rows of the accounts at once, and returns what each was told.
func replaceAll(ctx context.Context, store *postgres.Store, writes []otp.Write) []error {
	var all sync.WaitGroup
	reported := make([]error, len(writes))
	for i, w := range writes {
		all.Go(func() { reported[i] = store.Replace(ctx, w) })
	}
	all.Wait()
	return reported
}

func createAll(t *testing.T, store *postgres.Store, n int) (next []otp.Write) {
	t.Helper()
	for i := range n {
		if err := store.Create(t.Context(), writeOf(account(i), 1)); err != nil {
			t.Fatal(err)
		}
		next = append(next, writeOf(account(i), 2))
	}
	return next
}

// A row that another session has locked keeps no other caller waiting, and is written when it is free.
func TestALockedRow(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	writes := createAll(t, store, 30)
	conn, err := pgx.Connect(t.Context(), url.Reveal())
	if err == nil {
		_, err = conn.Exec(t.Context(), "BEGIN; SELECT FROM device WHERE account = '"+string(account(0))+"' FOR UPDATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	locked := make(chan error, 1)
	go func() { locked <- store.Replace(t.Context(), writes[0]) }()
	for i, err := range replaceAll(t.Context(), store, writes[1:]) {
		if err != nil {
			t.Errorf("%s: %v", account(i+1), err)
		}
	}
	select {
	case err := <-locked:
		t.Errorf("the locked row is written: %v", err)
	default:
	}
	if err := conn.Close(t.Context()); err != nil { // which rolls back
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Errorf("when the row is free: %v", err)
	}
}

// A write that the server refuses is the only one that is not stored.
func TestARefusedWriteAmongOthers(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	writes := createAll(t, store, 30)
	server.Exec(t, url.Reveal(), "ALTER TABLE audit ADD CHECK (outcome <> 'refused by the server')")
	for i := range writes {
		if i%10 == 3 {
			writes[i].AuditEntry.Outcome = "refused by the server"
		}
	}
	for i, err := range replaceAll(t.Context(), store, writes) {
		if refused := i%10 == 3; refused != errors.Is(err, otp.ErrNotApplied) || !refused && err != nil {
			t.Errorf("%s: %v", account(i), err)
		}
	}
}

// Many writes that come at once take few transactions.
func TestWritesShareTransactions(t *testing.T) {
	own := ownServer(t)
	url := own.Database(t)
	store := open(t, url)
	writes := createAll(t, store, 64)
	server.Exec(t, url.Reveal(), `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END'`, `CREATE TRIGGER slow AFTER UPDATE ON device EXECUTE FUNCTION slow()`)
	began := time.Now()
	if err := errors.Join(replaceAll(t.Context(), store, writes)...); err != nil {
		t.Error(err)
	}
	lines, err := store.AuditAfter(t.Context(), 64, 100)
	if err != nil || len(lines) != 64 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	transactions := count(t, url, "SELECT count(DISTINCT xmin::text) FROM audit WHERE step = 2")
	if transactions > 16 {
		t.Errorf("64 writes took %d transactions, in %v", transactions, time.Since(began))
	}
}
