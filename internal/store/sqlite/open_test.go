package sqlite_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

func TestWhereAStoreIsOpenedOrMade(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		// What the errors of Open and of OpenOrCreate say; empty: there is none.
		open, create string
	}{
		"missing":          {nothing, "it has no pimsd.db", ""},
		"empty":            {directory(), "it has no pimsd.db", ""},
		"lost+found alone": {directory("lost+found/"), "it has no pimsd.db", ""},
		"a store":          {aStore, "", ""},
		"a store and more": {func(t *testing.T, dir string) { aStore(t, dir); directory("notes")(t, dir) }, "", ""},
		"half made":        {directory("pimsd.db"), "did not finish making it", ""},
		"emptied":          {emptied, "shows that there was a store", "shows that there was a store"},
		"emptied, a log":   {emptiedWithLog, "-wal shows that there was", "-wal shows that there was"},
		"foreign files":    {directory("lost+found/", "holiday.jpg"), "it has no pimsd.db", `there is "holiday.jpg"`},
		"a log alone":      {directory("pimsd.db-wal"), "it has no pimsd.db", `there is "pimsd.db-wal"`},
		"a directory":      {directory("pimsd.db/"), "is not a file", "is not a file"},
		"a symbolic link":  {link(os.Symlink, "pimsd.db"), "is a symbolic link", "is a symbolic link"},
		"a hard link":      {link(os.Link, "pimsd.db"), "has another name", "has another name"},
		"a log elsewhere":  {link(os.Symlink, "pimsd.db-wal"), "is no regular file", "is no regular file"},
		"not a database":   {text, "not an SQLite database", "not an SQLite database"},
		"another's database": {
			statement("CREATE TABLE cats (name TEXT)"),
			"a database of another program", "a database of another program",
		},
		"another's number": {statement("PRAGMA application_id = 7"), "a database of another program", "a database of another program"},
		"another's number and version": {
			statement("PRAGMA application_id = 7; PRAGMA user_version = 1"),
			"a database of another program", "a database of another program",
		},
		"ours without its id": {
			func(t *testing.T, dir string) { aStore(t, dir); statement("DELETE FROM store")(t, dir) },
			"there is none", "there is none",
		},
		"ours of later": {
			func(t *testing.T, dir string) { aStore(t, dir); statement("PRAGMA user_version = 99")(t, dir) },
			"written by a later pimsd", "written by a later pimsd",
		},
		"below a file": {
			func(t *testing.T, dir string) {
				nothing(t, dir)
				if err := os.WriteFile(dir, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			"not a directory", "not a directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data #1?%20")
			tc.prepare(t, dir)
			store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
			expectRefusal(t, "Open", store, err, tc.open)
			if errors.Is(err, otp.ErrNoStore) != (strings.Contains(tc.open, "pimsd.db") || strings.Contains(tc.open, "finish")) {
				t.Errorf("whether there is no store: %v", err)
			}
			expectCheck(t, dir, tc.open, tc.create)
			store, err = sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
			expectRefusal(t, "OpenOrCreate", store, err, tc.create)
			if tc.create != "" {
				return
			}
			store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
			expectRefusal(t, "Open of what is there now", store, err, "")
		})
	}
}

func TestTheParentMustBeThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mnt", "data")
	const want = "correct PIMSD_DATA_DIR"
	expectCheck(t, dir, want, want)
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
	expectRefusal(t, "OpenOrCreate", store, err, want)
}

// expectCheck expects of sqlite.Check what OpenOrCreate says next, and that it changes nothing.
func expectCheck(t *testing.T, dir, open, create string) {
	t.Helper()
	before, _ := os.ReadDir(dir)
	switch err := sqlite.Check(t.Context(), dir); {
	case create != "" && (err == nil || errors.Is(err, otp.ErrNoStore) || !strings.Contains(err.Error(), create)):
		t.Errorf("Check: %v, want an error that says %q", err, create)
	case create == "" && open == "" && err != nil:
		t.Errorf("Check of a store: %v", err)
	case create == "" && open != "" && !errors.Is(err, otp.ErrNoStore):
		t.Errorf("Check without a store: %v", err)
	}
	if after, _ := os.ReadDir(dir); open != "" && len(after) != len(before) {
		t.Errorf("Check changed the directory from %v to %v", before, after)
	}
}

// Refused or not, a call must leave the directory without traces of its own.
func TestARefusalLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	directory("holiday.jpg")(t, dir)
	_, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
	if entries, _ := os.ReadDir(dir); err == nil || len(entries) != 1 {
		t.Errorf("after %v, there are %v", err, entries)
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir)
	for name, want := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, "pimsd.db": 0o600, "pimsd.db-wal": 0o600, "pimsd.db-shm": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%q has the mode %v, want %v (%v)", name, info.Mode(), want, err)
		}
	}
}

func expectRefusal(t *testing.T, verb string, store *sqlite.Store, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", verb, err)
	case want == "":
		closed(t, store)
	case err == nil:
		closed(t, store)
		t.Errorf("%s does not fail, want an error that says %q", verb, want)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s: %v, want an error that says %q", verb, err, want)
	}
}

// emptied is a store whose database a restore that failed has left empty.
func emptied(t *testing.T, dir string) {
	t.Helper()
	aStore(t, dir)
	if err := os.Truncate(filepath.Join(dir, sqlite.FileName), 0); err != nil {
		t.Fatal(err)
	}
}

func emptiedWithLog(t *testing.T, dir string) {
	t.Helper()
	emptied(t, dir)
	log := filepath.Join(dir, sqlite.FileName+"-wal")
	err := errors.Join(os.Remove(filepath.Join(dir, sqlite.ReserveName)), os.WriteFile(log, []byte("the last steps"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

func nothing(t *testing.T, _ string) { t.Helper() }

// directory makes files with those names, and directories of those that end with a slash.
func directory(names ...string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		errs := []error{os.MkdirAll(dir, 0o700)}
		for _, name := range names {
			if path := filepath.Join(dir, name); strings.HasSuffix(name, "/") {
				errs = append(errs, os.Mkdir(path, 0o700))
			} else {
				errs = append(errs, os.WriteFile(path, nil, 0o600))
			}
		}
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}

func aStore(t *testing.T, dir string) {
	t.Helper()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
	expectRefusal(t, "OpenOrCreate", store, err, "")
}

// link has a file of a store lie elsewhere, and be named in its place.
func link(link func(from, to string) error, name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		aStore(t, dir)
		file, elsewhere := filepath.Join(dir, name), filepath.Join(dir, "elsewhere")
		if _, err := os.Stat(file); err != nil {
			directory(name)(t, dir)
		}
		if err := errors.Join(os.Rename(file, elsewhere), link(elsewhere, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func text(t *testing.T, dir string) {
	t.Helper()
	directory()(t, dir)
	if err := os.WriteFile(filepath.Join(dir, sqlite.FileName), []byte(strings.Repeat("not a database\n", 999)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// statement lets another program work on the database, which is made if need be.
func statement(text string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		directory()(t, dir)
		dsn := url.URL{Scheme: "file", Path: filepath.Join(dir, sqlite.FileName)}
		db, err := sql.Open("sqlite", dsn.String())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}
