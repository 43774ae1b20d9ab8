package sqlite

import (
	"errors"
	"os"
	"path/filepath"
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
