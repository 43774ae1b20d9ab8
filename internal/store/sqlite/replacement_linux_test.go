package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A database that SQLite cannot read is not replaced either while another process has it open.
func TestReplacingGarbageInUse(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	backup := backUpTo(t, s)
	closeStore(t, s)
	writeFile(t, dir, FileName, "garbage that is long enough to be a database header, and more of it: 0123456789")
	file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	must(t, err)
	defer func() { _ = file.Close() }()
	const shared = firstLockByte + 2 // as a connection that reads
	lock := unix.Flock_t{Type: unix.F_RDLCK, Start: shared, Len: lockBytes - 2}
	must(t, unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock)) // which this process conflicts with, as another one would
	if _, err := Replace(t.Context(), dir, backup); !errors.Is(err, ErrInUse) {
		t.Errorf("the error is %v", err)
	}
}

// Nothing but SQLite has the new database open: to close another descriptor of it would end SQLite's locks.
func TestNewDatabaseIsOpenOnce(t *testing.T) {
	t.Parallel()
	_, r := newReplacement(t)
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	var open []string
	for _, descriptor := range descriptors {
		if path, err := os.Readlink(descriptor); err == nil && strings.HasPrefix(path, r.temp) { // others may be closed meanwhile
			open = append(open, path)
		}
	}
	if len(open) != 1 {
		t.Errorf("open are %q", open)
	}
}
