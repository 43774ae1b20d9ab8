package otp_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// neverFresh is a store whose reads never see its newest writes, so that every write of the service is a conflict.
type neverFresh struct {
	otp.Store
	row     otp.Row
	fetches atomic.Int64
}

func (s *neverFresh) Fetch(context.Context, otp.Account) (otp.Row, time.Time, error) {
	s.fetches.Add(1)
	return s.row, time.Now(), nil
}

func (s *neverFresh) Update(
	ctx context.Context, account otp.Account, _ string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	read := func(ctx context.Context) (otp.Snapshot, error) {
		row, now, err := s.Fetch(ctx, account)
		return otp.Snapshot{Row: row, Now: now}, err
	}
	return otp.UpdateInSteps(ctx, read, s.Store, decide)
}

// neverCurrent returns a service for which every write is a conflict.
func neverCurrent(t *testing.T, d *device, sim *inwebosim.Simulator) (*otp.Service, *neverFresh) {
	t.Helper()
	store := &neverFresh{Store: d.memory, row: d.row(t)}
	_, err := otp.New(d.memory, newBridge(sim), limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
	must(t, err)
	l := limits()
	l.QueueWait = time.Second
	return otp.New(store, newBridge(sim), l, nil), store
}

// Calls and commands that meet one conflict after the other look again with pauses, and end with their patience.
func TestConflictsEndWithPatience(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	calls := map[string]func(context.Context, *otp.Service, otp.Request) error{
		"otp": func(ctx context.Context, s *otp.Service, request otp.Request) error {
			_, err := s.IssueOTP(ctx, request, rightPIN)
			return err
		},
		"unlock": func(ctx context.Context, s *otp.Service, request otp.Request) error { return s.Unlock(ctx, request) },
	}
	for name, call := range calls {
		d := plant(t, sim, inwebosim.Override{})
		synctest.Test(t, func(t *testing.T) {
			service, store := neverCurrent(t, d, sim)
			began := time.Now()
			err := call(t.Context(), service, d.request())
			var wait *otp.RetryAfterError
			if !errors.Is(err, otp.ErrBusy) || !errors.As(err, &wait) || wait.For <= 0 {
				t.Errorf("%s: %v; want a wait for the device", name, err)
			}
			if looks, took := store.fetches.Load(), time.Since(began); looks > 30 || took > time.Second {
				t.Errorf("%s: %d looks in %v", name, looks, took)
			}
		})
	}
}

// A call that meets one conflict after the other ends when the service drains.
func TestConflictsEndWithTheService(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	synctest.Test(t, func(t *testing.T) {
		service, _ := neverCurrent(t, d, sim)
		done := make(chan error, 1)
		go func() {
			_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
			done <- err
		}()
		time.Sleep(100 * time.Millisecond)
		drained(t, service)
		if err := <-done; !errors.Is(err, otp.ErrStopping) {
			t.Errorf("%v; want ErrStopping", err)
		}
	})
}
