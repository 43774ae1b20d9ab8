package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/pimsd/pimsd/internal/otp"
)

// health knows whether the store can still promise anything. Once broken, it stays so.
type health struct {
	id              string    // of the store
	files           *identity // for the writer alone
	cause           atomic.Pointer[error]
	readable        atomic.Bool // though broken, it was found to be the same as before
	responsesLost   atomic.Uint64
	settlesByScan   atomic.Uint64
	settlesUnlogged atomic.Uint64
	met             atomic.Bool            // a statement has met damage
	damage          atomic.Pointer[string] // what is damaged; nil before it was looked for
	maxLog          int64                  // bytes
	older           string                 // that the store is older than the one that was there last; empty when it is not
	unverified      string                 // what was found, or not looked for, when the store was opened after it was not closed
}

// Broken returns why the store is broken, or nil. It is broken when a sync has failed (see faultOf), or when a program has
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
	err := s.writer.change(ctx, func(on target) (refusal, failure error) {
		for _, step := range []string{"SAVEPOINT settle", probeLine, probeDevice, "ROLLBACK TO settle", "RELEASE settle"} {
			if _, failure := on.exec(step); failure != nil {
				return nil, failure
			}
		}
		_, failure = on.exec(writeProbe, s.now().UnixMicro())
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
	_, err := runWithin(ctx, func() (struct{}, error) { return struct{}{}, r.restore() })
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

// record looks at an error of a read or a write, and breaks the store if it is fatal.
func (h *health) record(err error) {
	if isDamage(err) {
		h.met.Store(true)
	}
	if faultOf(err) == faultFatal {
		h.breakBy(err)
	}
}
