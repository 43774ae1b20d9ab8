package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// censusInterval is how often all accounts are looked at: often enough for what an operator does about them.
const censusInterval = 5 * time.Minute

// A census rests so many times as long as it counts. However many accounts there are, callers have to share no more than
// a fiftieth of a core and of the disk with it.
const (
	censusRests = 49
	censusStep  = 256 // accounts that are counted between two rests
)

const (
	// censusTimeout bounds one census, rests included. The alert on a census that is missing comes after that.
	censusTimeout = 45 * time.Minute
	// censusRestTimeout bounds one rest, so that a store that is slow for a moment does not put a census off.
	censusRestTimeout = 30 * time.Second
)

// The conditions that accounts are counted under.
const (
	accountsEnrolled   = "enrolled"
	accountsBlocked    = "blocked"
	accountsPINLocked  = "pin_locked"
	accountsQuota      = "quota_used_up"
	accountsSMS        = "few_sms_activations_left"
	accountsUnreadable = "unreadable" // their records are passed over, and are under no other condition
)

func conditions() []string {
	return []string{accountsEnrolled, accountsBlocked, accountsPINLocked, accountsQuota, accountsSMS, accountsUnreadable}
}

// takeCensuses counts accounts and keys, now and then. A census that fails leaves what was counted before.
func (a *App) takeCensuses(ctx context.Context) {
	every(ctx, censusInterval, func(ctx context.Context) {
		census, err := a.takeCensus(ctx)
		switch {
		case err == nil:
			a.tellCensus(census)
		case ctx.Err() == nil:
			a.logger.Warn("accounts and keys could not be counted", zap.Error(err))
		}
	})
}

func (a *App) takeCensus(ctx context.Context) (telemetry.Census, error) {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	c := telemetry.Census{Accounts: map[string]int{}, At: time.Now()}
	began, counted := time.Now(), 0
	err := a.EachAccount(ctx, func(status otp.Status) error {
		for condition, holds := range conditionsOf(status) {
			if holds {
				c.Accounts[condition]++
			}
		}
		if counted++; counted%censusStep == 0 {
			rest(ctx, min(censusRests*time.Since(began), censusRestTimeout))
			began = time.Now()
		}
		return ctx.Err()
	})
	if unreadable, ok := errors.AsType[*UnreadableError](err); ok {
		c.Accounts[accountsUnreadable] = len(unreadable.Records)
		a.logger.Error("records of accounts cannot be read: pimsd account list names them", zap.Int("records", len(unreadable.Records)),
			zap.Error(unreadable.Records[0].Err))
	} else if err != nil {
		return c, err
	}
	keys, err := a.listKeys(ctx)
	c.NextKeyExpiry = nextExpiry(keys, c.At)
	return c, err
}

// listKeys reads all API keys.
func (a *App) listKeys(ctx context.Context) ([]authn.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return a.Store.ListKeys(ctx)
}

// rest waits that long, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func conditionsOf(status otp.Status) map[string]bool {
	return map[string]bool{
		accountsEnrolled:  status.State != otp.StateNotEnrolled,
		accountsBlocked:   status.Blocking == otp.PINBlocked,
		accountsPINLocked: status.PINLocked,
		accountsQuota:     status.OTPsLeft != nil && *status.OTPsLeft <= 0,
		accountsSMS:       status.FewLeft,
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
