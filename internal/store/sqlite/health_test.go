package sqlite

import (
	"context"
	"fmt"
	"testing"

	lib "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"
)

// What is passed over, and what must never be: see faultOf.
func TestWhichErrorsBreakTheStore(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]fault{
		lib.SQLITE_BUSY: faultPassing, lib.SQLITE_BUSY_SNAPSHOT: faultPassing, lib.SQLITE_FULL: faultPassing,
		lib.SQLITE_IOERR_WRITE: faultPassing, lib.SQLITE_IOERR_GETTEMPPATH: faultPassing, lib.SQLITE_IOERR_NOMEM: faultPassing,
		lib.SQLITE_CORRUPT: faultLocal, lib.SQLITE_CORRUPT_INDEX: faultLocal, lib.SQLITE_IOERR_READ: faultLocal,
		lib.SQLITE_CONSTRAINT_UNIQUE: faultLocal,
		lib.SQLITE_IOERR_FSYNC:       faultFatal, lib.SQLITE_IOERR_DIR_FSYNC: faultFatal, lib.SQLITE_IOERR_SHMMAP: faultFatal,
		lib.SQLITE_IOERR: faultFatal, lib.SQLITE_NOTADB: faultFatal, lib.SQLITE_MISUSE: faultFatal, lib.SQLITE_ERROR: faultFatal,
	} {
		if got := faultOfCode(sqlite.ResultCode(code)); got != want {
			t.Errorf("code %d is %d, want %d", code, got, want)
		}
	}
	if got := faultOf(fmt.Errorf("read: %w", context.Canceled)); got != faultNone {
		t.Errorf("a caller who went away is %d", got)
	}
}
