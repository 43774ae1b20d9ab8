package historytest

import (
	"bytes"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// embedded is a store in SQLite.
type embedded struct {
	*sqlite.Store
	rows
	dir    string
	isFull bool
}

func prepareHealthySQLite(t *testing.T) func(*testing.T) store {
	open, _ := prepareSQLite(t)
	return open
}

func prepareSQLite(t *testing.T) (open func(*testing.T) store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	made, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
	must(t, err)
	must(t, made.Close())
	return func(t *testing.T) store {
		opened, err := sqlite.Open(t.Context(), sqlite.Options{Dir: dir})
		must(t, err)
		s := &embedded{Store: opened, rows: rows{db: operate(t, dir), placeholder: "?"}, dir: dir}
		t.Cleanup(func() {
			if err := errors.Join(s.db.Close(), s.Store.Close()); err != nil {
				t.Error(err)
			}
		})
		return s
	}, dir
}

// operate opens the database for an operator.
func operate(t testing.TB, dir string) *sql.DB {
	t.Helper()
	file := url.URL{Scheme: "file", Path: filepath.Join(dir, sqlite.FileName), RawQuery: "_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", file.String())
	must(t, err)
	db.SetMaxOpenConns(1)
	return db
}

// prepareDamagedSQLite prepares a store of which the root page of that table or index is overwritten.
func prepareDamagedSQLite(name string) func(*testing.T) func(*testing.T) store {
	return func(t *testing.T) func(*testing.T) store {
		open, dir := prepareSQLite(t)
		damage(t, dir, name)
		return open
	}
}

// damage overwrites the root page of a table or an index in a store that is not open.
func damage(t *testing.T, dir, name string) {
	t.Helper()
	db := operate(t, dir)
	var at, size int64
	row := db.QueryRowContext(t.Context(), "SELECT (rootpage - 1) * page_size, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?", name)
	must(t, errors.Join(row.Scan(&at, &size), db.Close()))
	file, err := os.OpenFile(filepath.Join(dir, sqlite.FileName), os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), at)
	must(t, errors.Join(err, file.Close()))
}

func (s *embedded) heal(t testing.TB) {
	t.Helper()
	if !s.isFull {
		return
	}
	limitFiles(t, unlimited)
	s.isFull = false
	if err := s.Broken(); err != nil {
		t.Errorf("a full disk has broken the store: %v", err)
	}
}

func (s *embedded) fill(t testing.TB) {
	t.Helper()
	log, err := os.Stat(filepath.Join(s.dir, sqlite.FileName+"-wal"))
	must(t, err)
	s.isFull = true
	limitFiles(t, uint64(log.Size()))
}
