package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	lib "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"

	"github.com/pimsd/pimsd/internal/otp"
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

// A lease that a broken store refuses does not make its reserve again: the directory may be that of another store by now.
func TestLeaseOfBrokenStoreMakesNoReserve(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	if err := s.Create(t.Context(), benchWrite(1, 1)); err != nil {
		t.Fatal(err)
	}
	s.health.breakBy(errors.New("the test breaks it"))
	s.writer.reserve.release()
	lease := benchWrite(1, 2)
	lease.AuditEntry.Stage = otp.StageAttempt
	if err := s.Replace(t.Context(), lease); !errors.Is(err, otp.ErrBroken) {
		t.Errorf("a lease of a broken store: %v", err)
	}
	if _, err := os.Stat(s.writer.reserve.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the reserve is made again: %v", err)
	}
}
