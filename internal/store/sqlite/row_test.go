package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
)

// memory opens an empty database in memory, and closes it with the test.
func memory(t *testing.T) *conn {
	t.Helper()
	c, err := openMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// What cannot be read is named by its column.
func TestValueOutOfBounds(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SELECT 1, 2": "the column 1 cannot be read, it has 2", "SELECT 1, -1": "the column 1 cannot be read, it has -1",
		"SELECT 2, 3": "the column 0 cannot be read, it has 2", "SELECT 0, 1": "<nil>",
	} {
		got, _, err := one(memory(t), func(r *row) error {
			_, _ = r.flag(), r.flag()
			return r.err
		}, query)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v (%v), want %s", query, got, err, want)
		}
	}
}

// A key whose hash is too short or too long is not read as another one.
func TestHashOfAnotherLength(t *testing.T) {
	t.Parallel()
	for length, good := range map[int]bool{0: false, 31: false, 32: true, 33: false} {
		_, err := all(memory(t), readKey, "SELECT 'id', zeroblob(?), NULL, '', 'otp', 1, NULL, NULL, NULL", length)
		if (err == nil) != good {
			t.Errorf("a hash of %d bytes: %v", length, err)
		}
	}
}

// The errors of SQLite that mean a full disk are known, and what an operator can do about an error is said for that error alone.
func TestErrorsOfSQLite(t *testing.T) {
	t.Parallel()
	for code, want := range map[sqlite.ResultCode]struct {
		full bool
		says string
	}{
		sqlite.ResultFull:         {true, ""},
		sqlite.ResultIOErrWrite:   {true, ""},
		sqlite.ResultIOErrFsync:   {false, ""},
		sqlite.ResultIOErrSHMSize: {false, "there is no room on its disk"},
		sqlite.ResultReadOnly:     {false, "it cannot be written"},
		sqlite.ResultCantOpen:     {false, "it cannot be opened"},
	} {
		err := error(&sqlError{code, errors.New("error")})
		if isFull(err) != want.full {
			t.Errorf("%v is taken for a full disk: %t", code, isFull(err))
		}
		explained := explain(err)
		if want.says == "" && explained != err || !strings.HasPrefix(explained.Error(), want.says) {
			t.Errorf("%v is explained as %v, want %q", code, explained, want.says)
		}
	}
}

// Where the file system reserves no room for a file, the file is written, and has its size.
func TestFill(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "reserve"))
	if err != nil {
		t.Fatal(err)
	}
	const size = smallestReserve + 1
	err = fill(file, size)
	info, infoErr := file.Stat()
	if err := errors.Join(err, infoErr); err != nil || info.Size() != size {
		t.Errorf("the file is %v (%v)", info, err)
	}
	if err := errors.Join(file.Close()); err != nil {
		t.Error(err)
	}
	if err := fill(file, size); err == nil {
		t.Error("a file that cannot be written is filled")
	}
}
