package app

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

func TestAccountsAreCountedUnderWhatHoldsOfThem(t *testing.T) {
	t.Parallel()
	left := func(n int) *int { return &n }
	for name, tc := range map[string]struct {
		status otp.Status
		want   []string
	}{
		"nothing":          {otp.Status{State: otp.StateNotEnrolled, OTPsLeft: left(6)}, nil},
		"idle":             {otp.Status{State: otp.StateIdle, Activated: true}, []string{"enrolled"}},
		"held, and used":   {otp.Status{State: otp.StateLeased, Activated: true, OTPsLeft: left(0)}, []string{"enrolled", "quota_used_up"}},
		"in doubt":         {otp.Status{State: otp.StateIdle, Activated: true, InDoubt: true}, []string{"enrolled", accountsInDoubt}},
		"unreadable":       {otp.Status{State: otp.StateUnreadable, Blocking: otp.BlockingUnknown}, []string{"unreadable"}},
		"blocked, locked":  {otp.Status{State: otp.StateNotEnrolled, Blocking: otp.PINBlocked, PINLocked: true}, []string{"blocked", "pin_locked"}},
		"nearly no more":   {otp.Status{State: otp.StateNotEnrolled, FewLeft: true}, []string{"few_sms_activations_left"}},
		"one OTP is left":  {otp.Status{State: otp.StateNotEnrolled, OTPsLeft: left(1)}, nil},
		"blocking unknown": {otp.Status{State: otp.StateNotEnrolled, Blocking: otp.BlockingUnknown}, nil},
	} {
		holding := conditionsOf(tc.status)
		for _, want := range tc.want {
			if !holding[want] {
				t.Errorf("%s: %s does not hold", name, want)
			}
			delete(holding, want)
		}
		for other, holds := range holding {
			if holds {
				t.Errorf("%s: %s holds", name, other)
			}
		}
	}
}

func TestTheNextKeyToExpire(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	key := func(in time.Duration) authn.Key { return authn.Key{ExpiresAt: now.Add(in)} }
	revoked := key(time.Second)
	revoked.RevokedAt = now
	if got := nextExpiry([]authn.Key{{}, revoked, key(-time.Hour)}, now); !got.IsZero() {
		t.Errorf("no key is left to expire, and %v is next", got)
	}
	if got := nextExpiry([]authn.Key{key(2 * time.Hour), {}, key(time.Hour), revoked}, now); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("the next expires at %v", got)
	}
}

func TestWhatHeldARequestBack(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, tc := range []struct {
		event api.Event
		want  string
	}{
		{api.Event{}, ""},
		{api.Event{Err: otp.ErrPINRefused, Code: 2308, Status: 403}, ""},
		{api.Event{Err: otp.ErrPINHeldBack, Code: 2308, Status: 429}, "pin_guard"},
		{api.Event{Err: otp.ErrPINLocked, Code: 2308, Status: 423}, "pin_locked"},
		{api.Event{Err: &otp.RetryAfterError{Cause: otp.ErrQuota}, Code: 2348, Status: 429}, "quota"},
		{api.Event{Err: otp.ErrBusy, Code: 2311, Status: 409}, "busy_device"},
		{api.Event{Err: otp.ErrStopping, Code: errcodes.FacadeNotInitialized, Status: 503}, ""},
		{api.Event{Err: authn.ErrKeysUnavailable, Code: errcodes.FacadeNotInitialized, Status: 503}, ""},
		{api.Event{Code: errcodes.FacadeNotInitialized, Status: 429}, "caller_rate"},
		{api.Event{Code: errcodes.FacadeNotInitialized, Status: 503}, "overload"},
	} {
		seen[tc.want] = true
		if got := throttledBy(tc.event); got != tc.want {
			t.Errorf("%+v is held back by %q, want %q", tc.event, got, tc.want)
		}
	}
	for _, by := range throttles() {
		if !seen[by] {
			t.Errorf("nothing is held back by %s", by)
		}
	}
}

// silentStore never answers a call of List, as a database whose machine is gone.
type silentStore struct {
	Store
	lists atomic.Int64
}

func (s *silentStore) List(ctx context.Context, _ otp.Account, _ int) ([]otp.Row, error) {
	s.lists.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// A store that does not answer delays neither a count nor the next ones.
func TestCountAccountsWhenStoreIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &silentStore{}
		a := &App{Core: &Core{Store: store}, logger: zap.NewNop()}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.collectAccountStats(ctx)
		}()
		time.Sleep(3*statsInterval + storeTimeout/2) // during the fourth count
		if n := store.lists.Load(); n != 4 {
			t.Errorf("%d counts were begun, want 4", n)
		}
		end()
		<-done
	})
}
