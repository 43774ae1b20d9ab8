package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// write makes a write whose audit line has its id as the transaction.
func write(account otp.Account, revision uint64) otp.Write {
	id := uuid.NewString()
	return otp.Write{
		ID:         id,
		Row:        otp.Row{Account: account, Revision: revision, Body: []byte(id), Secrets: secret.NewBytes([]byte("vault"))},
		AuditEntry: otp.AuditEntry{Account: account, Transaction: id, Action: "otp", Stage: otp.StageOutcome, Step: revision},
	}
}

// put writes the next row of an account until it has been taken, be it against others.
func put(ctx context.Context, store otp.Store, account otp.Account) (otp.Write, error) {
	for {
		row, _, err := store.Fetch(ctx, account)
		if err != nil && !errors.Is(err, otp.ErrNotFound) {
			return otp.Write{}, err
		}
		w := write(account, row.Revision+1)
		verb := store.Replace
		if w.Row.Revision == 1 {
			verb = store.Create
		}
		err = verb(ctx, w)
		if !errors.Is(err, otp.ErrConflict) && !errors.Is(err, otp.ErrExists) {
			return w, err
		}
	}
}

// many lets 16 callers put rows into the store, each n times, half of them all into one account.
func many(ctx context.Context, store otp.Store, n int, taken func(otp.Write)) error {
	const callers = 16
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		account := otp.Account(fmt.Sprint("account ", os.Getpid(), " ", i))
		if i%2 == 0 {
			account = "shared"
		}
		all.Go(func() {
			for range n {
				w, err := put(ctx, store, account)
				if err != nil {
					errs[i] = err
					return
				}
				taken(w)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// share is a process that uses the store beside others.
func share(ctx context.Context, dir string) error {
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return err
	}
	return errors.Join(many(ctx, store, 50, func(otp.Write) {}), store.Close())
}

// load is a process that writes until it is killed, and prints the id of each write that was acknowledged.
func load(ctx context.Context, dir string) error {
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return err
	}
	var turn sync.Mutex
	return many(ctx, store, 1_000_000, func(w otp.Write) {
		turn.Lock()
		defer turn.Unlock()
		fmt.Println(w.ID)
	})
}

// Three processes make one store at the same moment and share it.
func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := process(t, "share", dir).Run(); err != nil {
				t.Errorf("another process: %v", err)
			}
		})
	}
	if err := share(t.Context(), dir); err != nil {
		t.Error(err)
	}
	all.Wait()
	if lines := verify(t, dir); len(lines) != 3*16*50 {
		t.Errorf("the audit log has %d lines, want %d", len(lines), 3*16*50)
	}
}

func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	acknowledged := map[string]bool{}
	for round := range 5 {
		cmd := process(t, "load", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ids := bufio.NewScanner(out)
		for n := 0; ids.Scan(); n++ {
			acknowledged[ids.Text()] = true
			if n == 100+37*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process that was to be killed: %v", err)
		}
		lines := verify(t, dir)
		for id := range acknowledged {
			if !lines[id] {
				t.Errorf("round %d: write %q was acknowledged and is gone", round, id)
			}
		}
	}
}

// verify opens the store, returns the ids of the writes that the audit log knows, and fails unless each account's
// revision is the number of its lines and the database is whole.
func verify(t *testing.T, dir string) map[string]bool {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, store)
	lines, err := store.AuditAfter(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	revisions := map[otp.Account]uint64{}
	for _, line := range lines {
		ids[line.Transaction] = true
		revisions[line.Account]++
		if line.Step != revisions[line.Account] {
			t.Errorf("line %d has the step %d, want %d", line.ID, line.Step, revisions[line.Account])
		}
	}
	rows, err := store.List(t.Context(), "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Revision != revisions[row.Account] || !ids[string(row.Body)] {
			t.Errorf("the row of %s has revision %d and the id %s; its lines end at %d", row.Account, row.Revision, row.Body, revisions[row.Account])
		}
	}
	expectWhole(t, dir)
	return ids
}

// expectWhole fails unless a store that is open, and has not been written yet, is sound, and all of it is in the
// database itself: what a killed process left in the log has perhaps never been synced, and must not be built upon.
func expectWhole(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("the integrity check says %q (%v)", result, err)
	}
	var busy, inLog, written int
	if err := db.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &inLog, &written); err != nil || inLog != written {
		t.Errorf("of %d pages in the log, %d are in the database (%v)", inLog, written, err)
	}
}
