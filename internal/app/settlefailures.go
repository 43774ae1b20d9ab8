package app

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// settleFailureInterval is the time in which each failure of a settle is logged once.
	settleFailureInterval = time.Minute
	// maxSettleFailures bounds how many different failures are logged in that time: a broken network has a text for each connection.
	maxSettleFailures = 16
)

// settleFailures logs why the store did not take what inWebo had answered. Such a write is tried again until it succeeds, often several
// times a second, so that each distinct error is logged once in a settleFailureInterval, and of many distinct ones the first. It is safe
// for concurrent use.
type settleFailures struct {
	logger *zap.Logger
	mu     sync.Mutex
	since  time.Time       // when the interval began
	logged map[string]bool // in this interval, by the text of the error
}

func newSettleFailures(logger *zap.Logger) *settleFailures {
	return &settleFailures{logger: logger, logged: map[string]bool{}}
}

func (f *settleFailures) log(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.since) >= settleFailureInterval {
		f.since = now
		clear(f.logged)
	}
	if text := err.Error(); !f.logged[text] && len(f.logged) < maxSettleFailures {
		f.logged[text] = true
		f.logger.Error("an outcome of inWebo could not be stored, and is tried again", zap.Error(err))
	}
}
