package otp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// An unlock forgives what was counted until it was asked for. A wrong PIN that another process counts meanwhile goes on to count:
// inWebo counts it, too.
func TestUnlockForgivesNothingThatComesLater(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, at := range []storetest.Verb{storetest.Fetch, storetest.Replace} {
		synctest.Test(t, func(t *testing.T) {
			d := plant(t, sim, inwebosim.Override{})
			other := otp.New(d.memory, newBridge(d.sim), limits(), nil)
			wrong := func() {
				time.Sleep(time.Second)
				if _, err := other.IssueOTP(t.Context(), d.request(), wrongPIN); otp.CauseOf(err) != otp.ErrPINRefused {
					t.Errorf("a wrong PIN is told %v", err)
				}
			}
			wrong()
			time.Sleep(limits().Guard.Pause)
			interrupted := false
			store := &storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
				if c.Verb == at && !interrupted {
					interrupted = true
					wrong()
				}
				return storetest.Fault{}
			}}
			service := otp.New(store, nil, limits(), nil)
			must(t, service.Unlock(t.Context(), d.request()))
			if r := d.record(t); r.Guard.Wrong == 0 {
				t.Errorf("with a wrong PIN before the %s, the guard is %+v", at, r.Guard)
			}
			time.Sleep(time.Second)
			must(t, service.Unlock(t.Context(), d.request()))
			if r := d.record(t); r.Guard.Wrong != 0 || len(r.Guard.Attempts) != 0 {
				t.Errorf("an unlock leaves the guard %+v", r.Guard)
			}
			drained(t, other)
			drained(t, service)
		})
	}
}

// slowAnswers is a store whose answers need almost half a second to arrive.
type slowAnswers struct{ otp.Store }

func (s slowAnswers) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, now, err := s.Store.Fetch(ctx, account)
	time.Sleep(450 * time.Millisecond)
	return row, now, err
}

// What was counted before an unlock is forgiven, however short a time before, although the store's clock is known late.
func TestUnlockForgivesWhatCameJustBefore(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		service := otp.New(slowAnswers{d.memory}, newBridge(d.sim), limits(), nil)
		if _, err := service.IssueOTP(t.Context(), d.request(), wrongPIN); otp.CauseOf(err) != otp.ErrPINRefused {
			t.Errorf("a wrong PIN is told %v", err)
		}
		must(t, service.Unlock(t.Context(), d.request()))
		if r := d.record(t); r.Guard.Wrong != 0 || len(r.Guard.Attempts) != 0 {
			t.Errorf("an unlock leaves the guard %+v", r.Guard)
		}
		drained(t, service)
	})
}
