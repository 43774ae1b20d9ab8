package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// statsInterval is how often all accounts are counted.
const statsInterval = 5 * time.Minute

// Counting pauses pauseFactor times as long as it works. However many accounts there are, it takes no more than a fiftieth of a core
// and of the disk from callers.
const pauseFactor = 49

const (
	// statsTimeout bounds one count of all accounts, pauses included. The alert on a missing count fires later than that.
	statsTimeout = 45 * time.Minute
	// pauseTimeout bounds one pause, so that a store that is slow for a moment does not delay the count.
	pauseTimeout = 30 * time.Second
)

// accountsInDoubt is the condition of which readiness tells the count.
const accountsInDoubt = "in_doubt"

// conditions returns the names of all conditions that accounts are counted under.
func conditions() []string { return slices.Sorted(maps.Keys(conditionsOf(otp.Status{}))) }

// collectAccountStats counts accounts and keys at every statsInterval until ctx ends. When a count fails, the metrics keep the
// previous one.
func (a *App) collectAccountStats(ctx context.Context) {
	every(ctx, statsInterval, a.countAndPublish)
}

func (a *App) countAndPublish(ctx context.Context) {
	stats, err := a.countAccounts(ctx)
	switch {
	case err == nil:
		a.setAccountStats(stats)
		a.accountStats.Store(&stats)
	case ctx.Err() == nil:
		a.logger.Warn("accounts and keys could not be counted", zap.Error(err))
	}
}

func (a *App) countAccounts(ctx context.Context) (telemetry.AccountStats, error) {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	c := telemetry.AccountStats{Accounts: map[string]int{}, At: time.Now()}
	began, counted := time.Now(), 0
	err := a.EachAccount(ctx, func(status otp.Status) error {
		for condition, holds := range conditionsOf(status) {
			if holds {
				c.Accounts[condition]++
			}
		}
		if counted++; counted%page == 0 {
			pause(ctx, min(pauseFactor*time.Since(began), pauseTimeout))
			began = time.Now()
		}
		return ctx.Err()
	})
	if unreadable, ok := errors.AsType[*UnreadableError](err); ok {
		a.logger.Error("records of accounts cannot be read: pimsd account list names them", zap.Int("records", len(unreadable.Records)),
			zap.Error(unreadable.Records[0].Err))
	} else if err != nil {
		return c, err
	}
	keys, err := a.ListKeys(ctx)
	c.NextKeyExpiry = nextExpiry(keys, c.At)
	return c, err
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// conditionsOf returns which of the conditions hold of an account, by their names. Of a record that is unreadable nothing is known, except
// whether the device is in doubt.
func conditionsOf(status otp.Status) map[string]bool {
	return map[string]bool{
		"enrolled":                 status.Activated,
		"blocked":                  status.Blocking == otp.PINBlocked,
		"pin_locked":               status.PINLocked,
		"quota_used_up":            status.OTPsLeft != nil && *status.OTPsLeft <= 0,
		"few_sms_activations_left": status.FewLeft,
		accountsInDoubt:            status.InDoubt,
		"unreadable":               status.State == otp.StateUnreadable,
	}
}

// nextExpiry is when the first of the keys that are still good expires; zero when none does.
func nextExpiry(keys []authn.Key, now time.Time) (next time.Time) {
	for _, key := range keys {
		good := key.RevokedAt.IsZero() && key.ExpiresAt.After(now)
		if good && (next.IsZero() || key.ExpiresAt.Before(next)) {
			next = key.ExpiresAt
		}
	}
	return next
}
