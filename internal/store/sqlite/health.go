package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/pimsd/pimsd/internal/otp"
)

// health knows whether the store can still promise anything. Once broken, it stays so.
type health struct {
	id            string    // of the store
	files         *identity // for the writer alone
	cause         atomic.Pointer[error]
	readable      atomic.Bool // though broken, it was found to be the same as before
	responsesLost atomic.Uint64
	settlesByScan atomic.Uint64
	met           atomic.Bool            // a statement has met damage
	damage        atomic.Pointer[string] // what is damaged; nil before it was looked for
	maxLog        int64                  // bytes
	unverified    string                 // what was found, or not looked for, when the store was opened after it was not closed
}

// Broken says why the store is broken, or returns nil. It is when a sync has failed (see faultOf), or when somebody has
// moved the database away. Only a store that is opened again works.
func (s *Store) Broken() error {
	if cause := s.health.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Writable proves that a settle would be stored now: that its rows can be written, that a write becomes durable, and that there is a
// reserve of room. It changes nothing and takes no room.
func (s *Store) Writable(ctx context.Context) error {
	err := s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		for _, step := range []*sql.Stmt{on.probeBegin, on.probeLine, on.probeDevice, on.probeEnd} {
			if _, failure := step.ExecContext(ctx); failure != nil {
				return nil, failure
			}
		}
		_, failure = on.probe.ExecContext(ctx, now().UnixMicro())
		return nil, failure
	})
	if err != nil {
		return fmt.Errorf("find out whether the store can be written: %w", err)
	}
	s.writer.reserve.check()
	return s.ensureReserve(ctx)
}

// ensureReserve makes the reserve again if it is missing, unless the store is broken.
func (s *Store) ensureReserve(ctx context.Context) error {
	r := s.writer.reserve
	if err := s.health.broken(); err != nil || !r.missing.Load() {
		return err
	}
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, r.restore() })
	return err
}

// refusal is what reads of a broken store return.
func (h *health) refusal() error {
	if h.readable.Load() {
		return nil
	}
	return h.broken()
}

// broken is what a broken store answers to every write but settles.
func (h *health) broken() error {
	if cause := h.cause.Load(); cause != nil {
		return fmt.Errorf("%w: %w", otp.ErrBroken, *cause)
	}
	return nil
}

// check finds out whether the files are still those that were opened.
func (h *health) check() {
	if err := h.files.check(); err != nil {
		h.breakBy(err)
	}
}

func (h *health) breakBy(cause error) {
	h.readable.Store(false)
	h.cause.CompareAndSwap(nil, &cause)
}

// note looks at an error of a read or a write, and breaks the store if it is fatal.
func (h *health) note(err error) {
	if isDamage(err) {
		h.met.Store(true)
	}
	if faultOf(err) == faultFatal {
		h.breakBy(err)
	}
}

// fault says what an error means for the store.
type fault int

const (
	// faultNone is that of what is no error of SQLite, such as a caller who went away.
	faultNone fault = iota
	// faultPassing means that SQLite or the machine is short of something: another process writes, the disk is full or
	// refuses a write, there is no memory or no room for a temporary file. The same connection may go on, and what was
	// written before is durable.
	faultPassing
	// faultLocal means that one statement could not be run: a damaged page, a sector that cannot be read, a value that does
	// not fit. Others are not affected.
	faultLocal
	// faultFatal means that it is not known any more what is durable, or that SQLite cannot work with its files.
	faultFatal
)

// faultOf is the one place that says which errors break the store.
//
// What breaks it is a sync that failed, for pages that were written before may be lost though a later sync succeeds, and
// whatever is not listed here. A write that failed does not: its transaction is rolled back, and the next one writes over what is
// left of it in the log.
func faultOf(err error) fault {
	e, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case !ok && (errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)):
		return faultFatal
	case !ok:
		return faultNone
	}
	return faultOfCode(e.Code())
}

// faultOfCode is faultOf for one of SQLite's extended result codes.
func faultOfCode(code int) fault {
	switch primary := code & 0xff; {
	case slices.Contains(passing(), code) || slices.Contains(passing(), primary):
		return faultPassing
	case slices.Contains(local(), code) || slices.Contains(local(), primary):
		return faultLocal
	}
	return faultFatal
}

func passing() []int {
	return []int{
		lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL, // another process is in the way
		lib.SQLITE_FULL, lib.SQLITE_IOERR_WRITE, // ENOSPC is the former, EDQUOT the latter
		lib.SQLITE_NOMEM, lib.SQLITE_IOERR_NOMEM, lib.SQLITE_IOERR_GETTEMPPATH,
		lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY,
		lib.SQLITE_INTERRUPT, // the caller went away
	}
}

func local() []int {
	return []int{
		lib.SQLITE_CORRUPT, lib.SQLITE_IOERR_READ, lib.SQLITE_IOERR_SHORT_READ,
		lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE,
	}
}

// resultCode returns SQLite's code of an error, without the extension, if it has one.
func resultCode(err error) (code int, ok bool) {
	code, ok = extendedCode(err)
	return code & 0xff, ok
}

// extendedCode returns SQLite's code of an error, if it has one.
func extendedCode(err error) (code int, ok bool) {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code(), true
	}
	return 0, false
}
