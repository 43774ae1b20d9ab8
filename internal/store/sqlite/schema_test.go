package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// later are migrations of a pimsd to come.
func later(scripts ...string) migrations { return append(builtIn(), scripts...) }

func openWith(t testing.TB, dir string, m migrations) *Store {
	t.Helper()
	s, err := openOrCreate(t.Context(), Options{Dir: dir}, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// oldStore makes a store of the present version with one account.
func oldStore(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	s := openWith(t, dir, builtIn())
	if err := s.Create(t.Context(), benchWrite(1, 1)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	return dir
}

func backups(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*backup*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrationFilesAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(embedded, "migrations/*")
	if err != nil || len(names) == 0 || len(names) != len(builtIn()) {
		t.Fatalf("there are the files %v and %d scripts (%v)", names, len(builtIn()), err)
	}
	for i, name := range names {
		if !strings.HasPrefix(filepath.Base(name), fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("file %d is %s", i+1, name)
		}
	}
}

func TestMigrated(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	abandoned := filepath.Join(dir, FileName+".backup"+partialSuffix) // by a process that was killed
	if err := os.WriteFile(abandoned, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := later("ALTER TABLE device ADD COLUMN note TEXT; -- a remark", "UPDATE device SET note = 'new'")
	s := openWith(t, dir, m)
	if got := value(t, s, "SELECT note || user_version FROM device, pragma_user_version"); got != fmt.Sprint("new", len(m)) {
		t.Errorf("the note and the version are %s", got)
	}
	if _, _, err := s.Fetch(t.Context(), "account 1"); err != nil {
		t.Error(err)
	}

	names := backups(t, dir)
	if len(names) != 1 || !strings.HasPrefix(filepath.Base(names[0]), fmt.Sprintf("pimsd.db.backup-v%d-20", len(builtIn()))) {
		t.Fatalf("the backups are %v", names)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup has the mode %v (%v)", info.Mode(), err)
	}

	// A backup is a store of the old version.
	restored := filepath.Join(t.TempDir(), "restored")
	if err := os.Mkdir(restored, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(names[0], filepath.Join(restored, FileName)); err != nil {
		t.Fatal(err)
	}
	old, err := Open(t.Context(), Options{Dir: restored})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, old)
	if row, _, err := old.Fetch(t.Context(), "account 1"); err != nil || row.Revision != 1 {
		t.Errorf("in the backup, the row is %+v (%v)", row, err)
	}
}

func TestAMigrationThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	for range 2 {
		_, err := openOrCreate(t.Context(), Options{Dir: dir}, later("DROP TABLE audit", "DROP TABLE cats"))
		if err == nil || !strings.Contains(err.Error(), "nothing of it was done") || !strings.Contains(err.Error(), "cats") {
			t.Errorf("the error is %v", err)
		}
	}
	if names := backups(t, dir); len(names) != 0 {
		t.Errorf("the backups are %v", names)
	}
	s := openWith(t, dir, builtIn())
	if lines, err := s.AuditAfter(t.Context(), 0, 10); err != nil || len(lines) != 1 {
		t.Errorf("there are %d lines (%v)", len(lines), err)
	}
}

// A store that is found damaged before its migration is not migrated.
func TestMigrationEndsBeforeItBegins(t *testing.T) {
	t.Parallel()
	path := filepath.Join(oldStore(t), FileName)
	damaged := errors.New("the test finds it damaged")
	m := later("DROP TABLE audit")
	if err := m.bringUpToDate(t.Context(), path, func(context.Context) error { return damaged }); !errors.Is(err, damaged) {
		t.Errorf("the error is %v", err)
	}
	must(t, withConn(t.Context(), path, nil, func(c *conn) error {
		version, err := m.version(c, path)
		if version != len(builtIn()) {
			t.Errorf("the store has version %d", version)
		}
		return err
	}))
}

func TestOnlyTheServiceMigrates(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	m := later("CREATE TABLE cats (name TEXT)")
	path := filepath.Join(dir, FileName)
	_, err := openStore(t.Context(), path, Options{Dir: dir}, m)
	if err == nil || !strings.Contains(err.Error(), "start the service of this version") {
		t.Errorf("opening an old schema: %v", err)
	}
	openWith(t, dir, m)
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "written by a later pimsd") {
		t.Errorf("opening a schema to come: %v", err)
	}
}

func TestNoMigrationUnderAnothersFeet(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	s := openWith(t, dir, builtIn())
	_, err := openOrCreate(t.Context(), Options{Dir: dir}, later("CREATE TABLE cats (name TEXT)"))
	if err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("migrating while it is open: %v", err)
	}
	if err := s.Replace(t.Context(), benchWrite(1, 2)); err != nil {
		t.Errorf("the other goes on: %v", err)
	}
	if names := backups(t, dir); len(names) != 0 {
		t.Errorf("the backups are %v", names)
	}
}

func TestUnused(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	if err := CheckUnused(t.Context(), dir); err != nil {
		t.Errorf("no process has it open: %v", err)
	}
	s := openWith(t, dir, builtIn())
	if err := CheckUnused(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "is open elsewhere") {
		t.Errorf("it is open: %v", err)
	}
	if err := s.Replace(t.Context(), benchWrite(1, 2)); err != nil {
		t.Errorf("the other goes on: %v", err)
	}
	closeStore(t, s)
	if err := CheckUnused(t.Context(), dir); err != nil {
		t.Errorf("it is closed again: %v", err)
	}
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	t.Parallel()
	s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
	expect := func(c *conn, busy string) {
		t.Helper()
		for name, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": busy, "locking_mode": "normal", "temp_store": "2",
		} {
			if got, _, err := one(c, (*row).anything, "PRAGMA "+name); err != nil || got != want {
				t.Errorf("%s is %q, want %q (%v)", name, got, want, err)
			}
		}
	}
	onWriter(t, s, func(c *conn) { expect(c, "0") })
	err := s.reader.do(t.Context(), func(c *conn) error {
		expect(c, "5000")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAPragmaThatDoesNotTake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(oldStore(t), FileName)
	for _, p := range standardPragmas() {
		err := withConn(t.Context(), path, []pragma{{p.name, p.value, "something else"}}, func(*conn) error { return nil })
		if err == nil || !strings.Contains(err.Error(), p.name+" was set to "+p.value) {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}
