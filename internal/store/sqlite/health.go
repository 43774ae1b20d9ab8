package sqlite

import (
	"context"
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
	files *identity // for the writer alone
	cause atomic.Pointer[error]
}

// Broken says why the store is broken, or gives nil. It is when a read or a sync has failed, when the database is
// damaged, or when somebody has moved it away. Only a store that is opened anew works again.
func (s *Store) Broken() error {
	if cause := s.health.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Writable proves that a write becomes durable now, by making one that changes nothing and takes no room.
func (s *Store) Writable(ctx context.Context) error {
	err := s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		_, failure = on.probe.ExecContext(ctx, now().UnixMicro())
		return nil, failure
	})
	if err != nil {
		return fmt.Errorf("find out whether the store can be written: %w", err)
	}
	return nil
}

// refusal is what a broken store answers to every verb.
func (h *health) refusal() error {
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

func (h *health) breakBy(cause error) { h.cause.CompareAndSwap(nil, &cause) }

// noteRead looks whether an error of a read is the database's fault.
func (h *health) noteRead(err error) {
	if code, ok := resultCode(err); ok && !isPassing(code) {
		h.breakBy(err)
	}
}

// noteWrite looks at an error of the writer, whose connection nobody interrupts: one that is not known to pass says
// that the next transaction cannot be trusted either.
func (h *health) noteWrite(err error) {
	if code, ok := resultCode(err); !ok || !isPassing(code) {
		h.breakBy(err)
	}
}

// resultCode gives SQLite's code of an error, without the extension, if it has one.
func resultCode(err error) (code int, ok bool) {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff, true
	}
	return 0, false
}

// isPassing tells the codes after which the same connection may go on: nothing is wrong with the database, or with
// what the disk has of it. All others (IOERR, CORRUPT, NOTADB, …) break the store.
func isPassing(code int) bool {
	return slices.Contains([]int{
		lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL, // another process is in the way
		lib.SQLITE_FULL, lib.SQLITE_NOMEM, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, // the machine is short of something
		lib.SQLITE_INTERRUPT,                     // the caller went away
		lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, // what was written is at fault
	}, code)
}
