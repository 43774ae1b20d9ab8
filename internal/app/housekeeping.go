package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/otp"
)

const (
	// cleanupInterval is the time between two rounds.
	cleanupInterval = 5 * time.Second
	// keyLife is how long a key of a repeated call is refused (docs/contract.md §5).
	keyLife = 24 * time.Hour
	// forever is an age that no entry reaches.
	forever = 100 * 365 * 24 * time.Hour
)

// cleanup removes stored responses and audit entries that are older than their retention, until ctx ends. The next round repeats what
// failed.
func (a *App) cleanup(ctx context.Context) {
	var clock otp.StoreClock
	afterEach(ctx, cleanupInterval, func(ctx context.Context) { a.cleanupOnce(ctx, &clock) })
}

// cleanupOnce is one round of cleanup. Soon after a start it is not known whether the store's clock is right, and one that is ahead
// makes everything old. So responses are removed once the clock has been watched for as long as they live: then those that were
// stored before are old by any clock. What is kept for hours is removed after the probation of the clock.
func (a *App) cleanupOnce(ctx context.Context, clock *otp.StoreClock) {
	now, err := a.storeTime(ctx)
	if err != nil {
		a.logger.Warn("nothing is removed, since the store's clock cannot be read", zap.Error(err))
		return
	}
	here := time.Now()
	ahead := clock.Look(here, now).Ahead
	watched, answerLife, keys := clock.Watched(here), a.config.Idempotency.AnswerLife, keyLife+ahead
	if watched < otp.ClockProbation {
		keys = forever
	}
	if watched >= answerLife {
		a.removeOld(ctx, "stored responses cannot be removed", func(ctx context.Context) error {
			return a.Store.ForgetAnswers(ctx, answerLife+ahead, keys)
		})
	}
	if a.config.Audit.Retention == 0 || watched < otp.ClockProbation {
		return
	}
	a.removeOld(ctx, "old lines of the audit log cannot be removed", func(ctx context.Context) error {
		return a.Store.ForgetLines(ctx, a.config.Audit.Retention+ahead)
	})
}

// noAccount is one whose record is not there: only the time that comes with the answer is wanted.
const noAccount otp.Account = "pimsd-clock"

func (a *App) storeTime(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, now, err := a.Store.Fetch(ctx, noAccount)
	if errors.Is(err, otp.ErrNotFound) {
		err = nil
	}
	return now, err
}

// removeOld calls remove with the timeout of one store call, and logs failure when it fails.
func (a *App) removeOld(ctx context.Context, failure string, remove func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := remove(bounded); err != nil && ctx.Err() == nil {
		a.logger.Warn(failure, zap.Error(err))
	}
}
