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

const (
	// keyringInterval is how often the service looks whether its sealing keys are still those of their file.
	keyringInterval = time.Second
	// keyringStoreInterval is how often it looks whether they are still those of the store.
	keyringStoreInterval = 10 * time.Second
)

// keyringWatch checks, while the service runs, whether its sealing keys can still be used, and logs when they
// cannot. The service goes on with the keys that it has in any case.
type keyringWatch struct {
	keyring *seal.Keyring
	store   seal.Recorder
	logger  *zap.Logger

	// Only run uses these.
	recorded seal.KeyID // the current key that the store knows of
	asked    time.Time  // when the store was asked last
	answer   error      // what is wrong with the keys for the store

	fault atomic.Pointer[error] // what the last look found; nil: nothing
}

func newKeyringWatch(core *Core, logger *zap.Logger) *keyringWatch {
	return &keyringWatch{keyring: core.Keyring, store: core.Store, logger: logger, recorded: core.Keyring.Current(), asked: time.Now()}
}

// run looks again and again, until ctx ends. It logs each distinct fault once, and its end.
func (w *keyringWatch) run(ctx context.Context) { every(ctx, keyringInterval, w.check) }

func (w *keyringWatch) check(ctx context.Context) {
	before, now := w.current(), w.keyring.Fault()
	if fault := w.askStore(ctx); !errors.Is(now, seal.ErrCurrentKeyMissing) && fault != nil {
		now = fault
	}
	switch {
	case now == nil && before != nil:
		w.logger.Info("the sealing keys can be used again", zap.String("key", string(w.keyring.Current())))
	case now != nil && (before == nil || now.Error() != before.Error()):
		w.logger.Error("the sealing keys, as they are now, cannot be used: the service goes on with those that it has, and would not "+
			"start again", zap.Error(now), zap.String("key", string(w.keyring.Current())))
	}
	w.fault.Store(&now)
}

// askStore returns what is wrong with the keys for the store, which it asks from time to time, and when another key has
// become the current one. A store that does not answer says nothing about the keys.
func (w *keyringWatch) askStore(ctx context.Context) error {
	current := w.keyring.Current()
	if current == w.recorded && time.Since(w.asked) < keyringStoreInterval {
		return w.answer
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var err error
	if current == w.recorded {
		err = w.keyring.CheckCurrent(ctx, w.store)
	} else {
		err = w.keyring.Agree(ctx, w.store)
	}
	w.asked = time.Now()
	if err == nil {
		w.recorded = current
	}
	if err == nil || errors.Is(err, seal.ErrCurrentKeyMissing) {
		w.answer = err
	}
	return w.answer
}

// current returns what the last look found.
func (w *keyringWatch) current() error {
	if fault := w.fault.Load(); fault != nil {
		return *fault
	}
	return nil
}

// ready fails when the key that seals is missing where it should be: in the file, so that a process that starts now cannot
// open what is sealed now, or here, so that this process cannot open what the others seal. A file that cannot be read is
// only noted: taking every replica out of service would not bring it back.
func (w *keyringWatch) ready(context.Context) error {
	if fault := w.current(); errors.Is(fault, seal.ErrCurrentKeyMissing) {
		return fault
	}
	return nil
}

// describe returns the text of /readyz?verbose about keys that are ready.
func (w *keyringWatch) describe(context.Context) string {
	if fault := w.current(); fault != nil {
		return fmt.Sprintf("but only in memory: %v", fault)
	}
	return fmt.Sprintf("key %s seals", w.keyring.Current())
}

// usable reports whether the last look found nothing.
func (w *keyringWatch) usable() bool { return w.current() == nil }
