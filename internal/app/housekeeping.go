package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/otp"
)

const (
	// tidyEvery is how often what has outlived its time is looked for, and so how much longer than its time it may stay.
	tidyEvery = 5 * time.Second
	// keyLife is how long a key of a repeated call is refused (docs/contract.md §5).
	keyLife = 24 * time.Hour
	// forever is the age that nothing reaches.
	forever = 100 * 365 * 24 * time.Hour
)

// keepHouse removes what is not to be kept any longer, until ctx ends. What fails is tried again at the next round.
func (a *App) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	var clock otp.StoreClock
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.tidy(ctx, &clock)
		}
	}
}

// tidy removes what is old, as far as the store's clock can be believed. What is kept for hours or longer is not removed
// soon after a start, when it cannot be known whether the clock is right.
func (a *App) tidy(ctx context.Context, clock *otp.StoreClock) {
	now, err := a.storeTime(ctx)
	if err != nil {
		a.logger.Warn("nothing is removed, since the store's clock cannot be read", zap.Error(err))
		return
	}
	here := time.Now()
	ahead := clock.Look(here, now).Ahead
	keys := keyLife + ahead
	if !clock.IsProven(here) {
		keys = forever
	}
	a.tidyOne(ctx, "stored responses cannot be removed", func(ctx context.Context) error {
		return a.Store.ForgetAnswers(ctx, a.config.Idempotency.AnswerLife+ahead, keys)
	})
	if a.config.Audit.Retention == 0 || !clock.IsProven(here) {
		return
	}
	a.tidyOne(ctx, "old lines of the audit log cannot be removed", func(ctx context.Context) error {
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

// tidyOne has one kind of thing removed, for as long as one call of the store may take: the next round goes on.
func (a *App) tidyOne(ctx context.Context, failure string, remove func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := remove(bounded); err != nil && ctx.Err() == nil {
		a.logger.Warn(failure, zap.Error(err))
	}
}
