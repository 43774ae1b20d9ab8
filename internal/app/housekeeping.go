package app

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// tidyEvery is how often what has outlived its time is looked for, and so how much longer than its time it may stay.
	tidyEvery = 5 * time.Second
	// keyLife is how long a key of a repeated call is refused (contract.md §5).
	keyLife = 24 * time.Hour
)

// keepHouse removes what is not to be kept any longer, until ctx ends. What fails is tried again at the next round.
func (a *App) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.tidy(ctx)
		}
	}
}

func (a *App) tidy(ctx context.Context) {
	a.tidyOne(ctx, "stored responses cannot be removed", func(ctx context.Context) error {
		return a.Store.ForgetAnswers(ctx, a.config.Idempotency.AnswerLife, keyLife)
	})
	if a.config.Audit.Retention == 0 {
		return
	}
	a.tidyOne(ctx, "old lines of the audit log cannot be removed", func(ctx context.Context) error {
		return a.Store.ForgetLines(ctx, a.config.Audit.Retention)
	})
}

// tidyOne has one kind of thing removed, for as long as one call of the store may take: the next round goes on.
func (a *App) tidyOne(ctx context.Context, failure string, remove func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := remove(bounded); err != nil && ctx.Err() == nil {
		a.logger.Warn(failure, zap.Error(err))
	}
}
