package otp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

const tenYears = 10 * 365 * 24 * time.Hour

// wrongClock is a device whose store had a clock that was ten years ahead for a while, and is right again.
type wrongClock struct {
	*device
	store   *shifted
	service *otp.Service
}

// afterWrongClock runs test after happen ran with the clock ten years ahead. Time in it passes only by sleeping.
func afterWrongClock(t *testing.T, happen func(t *testing.T, w *wrongClock), test func(t *testing.T, w *wrongClock)) {
	t.Helper()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	synctest.Test(t, func(t *testing.T) {
		w := &wrongClock{device: d, store: &shifted{Store: d.memory}}
		l := limits()
		l.QueueWait = 100 * time.Millisecond
		w.service = otp.New(w.store, newBridge(sim), l, nil)
		w.store.advance(tenYears)
		happen(t, w)
		w.store.advance(-tenYears)
		test(t, w)
	})
}

func (w *wrongClock) issue(t *testing.T) error {
	t.Helper()
	_, err := w.service.IssueOTP(t.Context(), w.request(), rightPIN)
	return err
}

// expectOneWait wants that a right PIN is refused for the cause, with a wait of at most longest, and works after it.
func (w *wrongClock) expectOneWait(t *testing.T, cause error, longest time.Duration) {
	t.Helper()
	var wait *otp.RetryAfterError
	if err := w.issue(t); !errors.Is(err, cause) || !errors.As(err, &wait) || wait.For > longest {
		t.Fatalf("after the clock was set back: %v; want %v, for at most %v", err, cause, longest)
	}
	time.Sleep(wait.For)
	if err := w.issue(t); err != nil {
		t.Errorf("after one wait: %v", err)
	}
}

func TestQuotaAfterWrongClock(t *testing.T) {
	t.Parallel()
	afterWrongClock(t, func(t *testing.T, w *wrongClock) {
		for range 6 {
			must(t, w.issue(t))
		}
	}, func(t *testing.T, w *wrongClock) {
		w.expectOneWait(t, otp.ErrQuota, 24*time.Hour)
	})
}

func TestClearQuotaAfterWrongClock(t *testing.T) {
	t.Parallel()
	afterWrongClock(t, func(t *testing.T, w *wrongClock) {
		for range 6 {
			must(t, w.issue(t))
		}
	}, func(t *testing.T, w *wrongClock) {
		must(t, w.service.ClearQuota(t.Context(), w.request()))
		if err := w.issue(t); err != nil {
			t.Errorf("after the quota was cleared: %v", err)
		}
	})
}

func TestPauseAfterWrongClock(t *testing.T) {
	t.Parallel()
	afterWrongClock(t, func(t *testing.T, w *wrongClock) {
		_, err := w.service.IssueOTP(t.Context(), w.request(), wrongPIN)
		if !errors.Is(err, otp.ErrPINRefused) {
			t.Fatal(err)
		}
	}, func(t *testing.T, w *wrongClock) {
		w.expectOneWait(t, otp.ErrPINHeldBack, limits().Guard.Pause)
	})
}

// A lease of a process that died while the clock was ahead is over at once: no call and no command waits for it.
func TestLeaseAfterWrongClock(t *testing.T) {
	t.Parallel()
	commands := map[string]func(*otp.Service, context.Context, otp.Request) error{
		"unlock": (*otp.Service).Unlock, "doubt": (*otp.Service).Doubt, "forget": (*otp.Service).Forget, "clear quota": (*otp.Service).ClearQuota,
	}
	for name, command := range commands {
		afterWrongClock(t, deadHolder, func(t *testing.T, w *wrongClock) {
			if err := command(w.service, t.Context(), w.request()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	afterWrongClock(t, deadHolder, func(t *testing.T, w *wrongClock) {
		status, err := w.service.Status(t.Context(), w.account)
		must(t, err)
		if !status.InDoubt || !status.FutureStamps || status.DoubtSince.After(w.store.now()) {
			t.Errorf("the status is %+v", status)
		}
		if err := w.issue(t); err != nil {
			t.Errorf("an OTP: %v", err)
		}
	})
}

// deadHolder leaves a lease behind, as a process does that dies.
func deadHolder(t *testing.T, w *wrongClock) {
	r := w.record(t)
	r.Revision++
	r.Lease = &otp.Lease{Conversation: "dead", Revision: r.Revision, Since: w.store.now(), Until: w.store.now().Add(17 * time.Second)}
	row, err := otp.Encode(r)
	must(t, err)
	must(t, w.memory.Replace(t.Context(), otp.Write{ID: "dead", Row: row}))
}

// A refused call corrects the record durably, once: the calls after it write nothing.
func TestRefusedCallCorrectsStamps(t *testing.T) {
	t.Parallel()
	afterWrongClock(t, func(t *testing.T, w *wrongClock) {
		for range 6 {
			must(t, w.issue(t))
		}
	}, func(t *testing.T, w *wrongClock) {
		before := w.record(t).Revision
		for range 3 {
			if err := w.issue(t); !errors.Is(err, otp.ErrQuota) {
				t.Errorf("%v", err)
			}
		}
		r := w.record(t)
		if r.Revision != before+1 {
			t.Errorf("three refused calls made %d writes, want 1", r.Revision-before)
		}
		for _, unit := range r.Quota.Issues {
			if unit.At.After(w.store.now().Add(otp.MaxLease)) {
				t.Errorf("a unit is still at %v", unit.At)
			}
		}
	})
}

// A lease of a process that died before the clock was set back by a few minutes lasts once more as long as it was to last, for
// calls and for commands, and its end is durable.
func TestLeaseAfterClockWasSetBack(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	const length = 17 * time.Second
	calls := map[string]func(*wrongClock, context.Context) error{
		"an OTP": func(w *wrongClock, ctx context.Context) error {
			_, err := w.service.IssueOTP(ctx, w.request(), rightPIN)
			return err
		},
		"unlock": func(w *wrongClock, ctx context.Context) error { return w.service.Unlock(ctx, w.request()) },
		"a repeat": func(w *wrongClock, ctx context.Context) error {
			_, err := w.service.IssueOTP(ctx, w.repeatable("a", "x"), rightPIN)
			return err
		},
	}
	for name, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			w := &wrongClock{device: plant(t, sim, inwebosim.Override{}), store: &shifted{}}
			w.store.Store = w.memory
			l := repeatLimits()
			l.QueueWait = 100 * time.Millisecond
			w.service = otp.New(w.store, newBridge(sim), l, nil)
			r := w.record(t)
			r.Revision++
			r.Lease = &otp.Lease{
				Conversation: "dead", Revision: r.Revision, Since: w.store.now(), Until: w.store.now().Add(length), IdempotencyKey: strings.Repeat("a", 64),
			}
			row, err := otp.Encode(r)
			must(t, err)
			must(t, w.memory.Replace(t.Context(), otp.Write{ID: "dead", Row: row}))
			w.store.advance(-9 * time.Minute)
			wait, ok := errors.AsType[*otp.RetryAfterError](call(w, t.Context()))
			if !ok || wait.For > length {
				t.Fatalf("%s is told %v, want to wait for at most %v", name, wait, length)
			}
			time.Sleep(wait.For)
			if err := call(w, t.Context()); err != nil {
				t.Errorf("%s after one wait: %v", name, err)
			}
		})
	}
}

// A conversation whose lease was moved when the clock was set back settles as ever.
func TestClockSetBackDuringAConversation(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		holder := pausedAt(d, beforeSettle)
		callerErr := make(chan error, 1)
		go func() {
			issued, err := holder.service.IssueOTP(t.Context(), d.request(), rightPIN)
			mustVerify(t, d, issued, err)
			callerErr <- err
		}()
		<-holder.stopped
		holder.clock.advance(-5 * time.Minute)
		l := generous()
		l.QueueWait = 0
		other := otp.New(holder.clock, newBridge(sim), l, nil)
		if _, err := other.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrBusy) {
			t.Errorf("a second call: %v", err)
		}
		if hold := d.record(t).Lease; hold == nil || hold.Since.After(holder.clock.now()) {
			t.Errorf("the lease is %+v at %v", hold, holder.clock.now())
		}
		close(holder.woken)
		if err := <-callerErr; err != nil {
			t.Error(err)
		}
		if r := d.record(t); r.Lease != nil || r.Doubt != nil || !d.inStep(t) {
			t.Errorf("the record is %+v", r)
		}
	})
}

// aheadForAWhile runs test with a service whose store's clock can be wrong, after a first call has shown it the right time.
func aheadForAWhile(t *testing.T, happens mishap, test func(t *testing.T, w *wrongClock)) {
	t.Helper()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	synctest.Test(t, func(t *testing.T) {
		w := &wrongClock{device: d, store: &shifted{Store: d.memory}}
		client := newBridge(sim)
		client.meddle = onFinalize(happens)
		l := limits()
		l.CircuitFaults = 0
		w.service = otp.New(w.store, client, l, nil)
		test(t, w)
	})
}

// A clock that is ahead for a while frees no guess whose answer was lost.
func TestLostGuessesWhileTheClockIsAhead(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{limits().Guard.Unanswered, tenYears} {
		aheadForAWhile(t, answerLost, func(t *testing.T, w *wrongClock) {
			issue := func() error {
				_, err := w.service.IssueOTP(t.Context(), w.request(), wrongPIN)
				return err
			}
			for range 2 {
				if err := issue(); !errors.Is(err, otp.ErrUnreachable) {
					t.Fatal(err)
				}
			}
			w.store.advance(jump)
			wait, ok := errors.AsType[*otp.RetryAfterError](issue())
			if !ok || !errors.Is(wait, otp.ErrPINHeldBack) || wait.For > limits().Guard.Unanswered {
				t.Fatalf("with a clock that is ahead by %v: %v", jump, wait)
			}
			w.store.advance(-jump)
			if err := issue(); !errors.Is(err, otp.ErrPINHeldBack) {
				t.Errorf("with a clock that is right again: %v", err)
			}
			if wrong := w.truth(t).WrongInARow; wrong != 2 {
				t.Errorf("inWebo counts %d wrong PINs", wrong)
			}
			w.store.advance(jump)
			time.Sleep(wait.For)
			if err := issue(); !errors.Is(err, otp.ErrUnreachable) {
				t.Errorf("after a wait of %v: %v", wait.For, err)
			}
		})
	}
}

// A clock that is ahead for a while frees no unit of the quota. One that goes on from where it jumped to is believed in the end.
func TestQuotaWhileTheClockIsAhead(t *testing.T) {
	t.Parallel()
	aheadForAWhile(t, fine, func(t *testing.T, w *wrongClock) {
		for range limits().OTPsPerDay {
			must(t, w.issue(t))
		}
		w.store.advance(25 * time.Hour)
		wait, ok := errors.AsType[*otp.RetryAfterError](w.issue(t))
		if !ok || !errors.Is(wait, otp.ErrQuota) || wait.For > otp.ClockProbation {
			t.Fatalf("with a clock that is ahead: %v", wait)
		}
		w.store.advance(-25 * time.Hour)
		if err := w.issue(t); !errors.Is(err, otp.ErrQuota) {
			t.Errorf("with a clock that is right again: %v", err)
		}
		w.store.advance(25 * time.Hour)
		_ = w.issue(t)
		time.Sleep(otp.ClockProbation)
		if err := w.issue(t); err != nil {
			t.Errorf("with a clock that has gone on from there: %v", err)
		}
	})
}
