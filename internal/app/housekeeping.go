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
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := a.Store.ForgetAnswers(ctx, a.config.Idempotency.AnswerLife, keyLife); err != nil {
		a.logger.Warn("kept answers cannot be removed", zap.Error(err))
	}
	if a.config.Audit.Retention == 0 {
		return
	}
	if err := a.Store.ForgetLines(ctx, a.config.Audit.Retention); err != nil {
		a.logger.Warn("old lines of the audit log cannot be removed", zap.Error(err))
	}
}
