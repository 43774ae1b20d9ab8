package app

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/store/seal"
)

// keyringLook is how often the service looks whether its sealing keys can still be used.
const keyringLook = time.Second

// keyringWatch looks, while the service runs, whether its sealing keys can still be used, and tells the operators when they
// cannot. The service goes on with the keys that it has in any case.
type keyringWatch struct {
	ring   *seal.Ring
	logger *zap.Logger
	fault  atomic.Pointer[error] // what the last look found; nil: nothing
}

// follow looks again and again, until ctx ends. It logs each distinct fault once, and its end.
func (w *keyringWatch) follow(ctx context.Context) {
	ticker := time.NewTicker(keyringLook)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *keyringWatch) look() {
	before, now := w.current(), w.ring.Fault()
	switch {
	case now == nil && before != nil:
		w.logger.Info("the sealing keys can be used again", zap.String("key", string(w.ring.Current())))
	case now != nil && (before == nil || now.Error() != before.Error()):
		w.logger.Error("the sealing keys, as they are now, cannot be used: the service goes on with those that it has, and would not "+
			"start again", zap.Error(now), zap.String("key", string(w.ring.Current())))
	}
	w.fault.Store(&now)
}

// current returns what the last look found.
func (w *keyringWatch) current() error {
	if fault := w.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

// ready fails when the key that seals is missing where it should be: what is sealed now cannot be opened by a process that
// starts now. A file that cannot be read is only noted: taking every replica out of service would not bring it back.
func (w *keyringWatch) ready(context.Context) error {
	if fault := w.current(); errors.Is(fault, seal.ErrCurrentKeyMissing) {
		return fault
	}
	return nil
}

// note is what /readyz?verbose says of keys that are ready.
func (w *keyringWatch) note(context.Context) string {
	if fault := w.current(); fault != nil {
		return fmt.Sprintf("but only in memory: %v", fault)
	}
	return fmt.Sprintf("key %s seals", w.ring.Current())
}

// usable reports whether the last look found nothing.
func (w *keyringWatch) usable() bool { return w.current() == nil }
