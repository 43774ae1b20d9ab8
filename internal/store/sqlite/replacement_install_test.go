package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// newReplacement returns a replacement of a store, with a backup in which the account has revision 1 and not 2 as in the store.
func newReplacement(t *testing.T) (dir string, r *Replacement) {
	t.Helper()
	dir, s := newDir(t)
	writeRow(t, s, 1)
	backup := backUpTo(t, s)
	writeRow(t, s, 1)
	closeStore(t, s)
	r, err := Replace(t.Context(), dir, backup)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return dir, r
}

func wantRevision(t *testing.T, dir string, want uint64) {
	t.Helper()
	s := openWith(t, dir, builtIn())
	if n := revision(t, s, benchWrite(1, 1).Row.Account); n != want {
		t.Errorf("the account has revision %d, want %d", n, want)
	}
	closeStore(t, s)
}

// A backup is restored into a data directory that is missing, and may be named relative to the working directory.
func TestRestoreIntoMissingDirectory(t *testing.T) {
	_, s := newDir(t)
	writeRow(t, s, 1)
	backup := backUpTo(t, s)
	closeStore(t, s)
	t.Chdir(filepath.Dir(backup))
	dir := filepath.Join(t.TempDir(), "new")
	if aside, unreadable := install(t, dir, filepath.Base(backup)); aside != "" || !errors.Is(unreadable, ErrUnreadable) {
		t.Errorf("aside is %q (%v)", aside, unreadable)
	}
	wantRevision(t, dir, 1)
}

// A replaced store that turns out not to be readable is forgotten, and the backup is installed all the same.
func TestForgettingTheReplacedStore(t *testing.T) {
	t.Parallel()
	dir, r := newReplacement(t)
	must(t, r.Put(t.Context(), []otp.Row{{Account: "taken over", Revision: 1}}))
	cause := errors.New("the test cannot read it")
	must(t, r.Forget(t.Context(), cause))
	if err := r.Unreadable(); !errors.Is(err, ErrUnreadable) || !errors.Is(err, cause) {
		t.Errorf("it is unreadable because of %v", err)
	}
	if rows, err := r.List(t.Context(), "", 10); err != nil || len(rows) != 1 {
		t.Errorf("the new database begins again with %d records (%v)", len(rows), err)
	}
	must(t, r.Seal(t.Context(), otp.AuditEntry{Action: "restore", Stage: otp.StageOutcome}))
	_, err := r.Install(t.Context())
	must(t, err)
	wantRevision(t, dir, 1)
}

// What is put into the new database is there, or none of it.
func TestPuttingRows(t *testing.T) {
	t.Parallel()
	_, r := newReplacement(t)
	rows := []otp.Row{benchWrite(1, 7).Row, benchWrite(2, 1).Row}
	must(t, r.Put(t.Context(), rows))
	found, err := r.List(t.Context(), "", 10)
	if err != nil || len(found) != 2 || found[0].Revision != 7 || found[1].Account != rows[1].Account {
		t.Errorf("the rows are %+v (%v)", found, err)
	}
	taken := otp.Claim{Serial: "s", Active: true}
	one, another := benchWrite(3, 1).Row, benchWrite(4, 1).Row
	one.Claim, another.Claim = taken, taken
	if err := r.Put(t.Context(), []otp.Row{one, another}); err == nil {
		t.Error("two accounts have one device")
	}
	if found, err := r.List(t.Context(), "", 10); err != nil || len(found) != 2 {
		t.Errorf("after rows that do not fit there are %d (%v)", len(found), err)
	}
}

// A new database that is damaged when it is finished is not installed.
func TestDamagedReplacementIsNotInstalled(t *testing.T) {
	t.Parallel()
	dir, r := newReplacement(t)
	damageFile(t, r.temp)
	if _, err := r.Install(t.Context()); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("the error is %v", err)
	}
	must(t, r.Close())
	wantRevision(t, dir, 2)
}

// A restored store belongs to the user and the group of the replaced one, whichever user restores it.
func TestRestoredStoreHasOwnerOfReplaced(t *testing.T) {
	t.Parallel()
	const user, group = 12345, 54321
	for name, owner := range map[string][2]int{"user": {user, -1}, "group": {-1, group}} {
		dir, s := newDir(t)
		backup := backUpTo(t, s)
		closeStore(t, s)
		path := filepath.Join(dir, FileName)
		if err := os.Chown(path, owner[0], owner[1]); errors.Is(err, os.ErrPermission) {
			t.Skip("only root returns files to others")
		} else if err != nil {
			t.Fatal(err)
		}
		want, err := os.Stat(path)
		must(t, err)
		_, _ = install(t, dir, backup)
		got, err := os.Stat(path)
		must(t, err)
		if ownerOf(t, got) != ownerOf(t, want) {
			t.Errorf("%s: the restored store belongs to %v, want %v", name, ownerOf(t, got), ownerOf(t, want))
		}
	}
}

// A replaced store whose log cannot be written back is replaced with its log.
func TestLogThatCannotBeWrittenBack(t *testing.T) {
	t.Parallel()
	dir, r := newReplacement(t)
	must(t, r.finish(t.Context()))
	must(t, r.conn.script("BEGIN; SELECT 1 FROM main.device")) // which keeps SQLite from it
	aside, err := r.install()
	must(t, errors.Join(err, r.removeMarker(), r.Close()))
	if !isThere(aside) || isThere(filepath.Join(dir, MarkerName)) {
		t.Errorf("in the data directory there is %q", namesIn(t, dir))
	}
	wantRevision(t, dir, 1)
}

// An empty journal next to the replaced store is not left to the new one.
func TestJournalOfReplacedStoreGoes(t *testing.T) {
	t.Parallel()
	dir, r := newReplacement(t)
	must(t, r.finish(t.Context()))
	writeFile(t, dir, FileName+"-journal", "")
	must(t, r.foldLog())
	if names := namesIn(t, dir); slices.Contains(names, FileName+"-journal") {
		t.Errorf("in the data directory there is %q", names)
	}
}

// A restore whose last steps fail does not say that it is done.
func TestRestoreThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	dir, r := newReplacement(t)
	must(t, r.finish(t.Context()))
	must(t, os.Rename(r.temp, r.temp+".away"))
	if err := r.rename(); err == nil {
		t.Error("a new database that is gone is said to be in its place")
	}
	must(t, os.MkdirAll(filepath.Join(dir, MarkerName, "not empty"), 0o700))
	if err := r.removeMarker(); err == nil {
		t.Error("a marker that is there is said to be removed")
	}
}
