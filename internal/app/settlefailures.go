package app

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// settleFailureInterval is how long after a line about a failed settle the same failure is logged again.
	settleFailureInterval = time.Minute
	// maxSettleFailures bounds how many failures are remembered.
	maxSettleFailures = 64
)

// settleFailures logs why the store did not take what inWebo had answered. Such a write is tried again until it succeeds, often several
// times a second, so that each distinct error is logged once in a settleFailureInterval. It is safe for concurrent use.
type settleFailures struct {
	logger *zap.Logger
	mu     sync.Mutex
	logged map[string]time.Time // by the text of the error
}

func newSettleFailures(logger *zap.Logger) *settleFailures {
	return &settleFailures{logger: logger, logged: map[string]time.Time{}}
}

func (f *settleFailures) log(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, text := time.Now(), err.Error()
	if at, ok := f.logged[text]; ok && now.Sub(at) < settleFailureInterval {
		return
	}
	if len(f.logged) == maxSettleFailures {
		clear(f.logged)
	}
	f.logged[text] = now
	f.logger.Error("an outcome of inWebo could not be stored, and is tried again", zap.Error(err))
}
