package otp_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// paused is a process that stops at one point of its first conversation, as with SIGSTOP, until it is woken.
type paused struct {
	service *otp.Service
	clock   *shifted // of the store
	stopped chan struct{}
	woken   chan struct{}
	once    sync.Once
}

func (p *paused) stop() {
	p.once.Do(func() {
		close(p.stopped)
		<-p.woken
	})
}

// The points at which a process is paused.
const (
	beforeSetup     = "before the setup is sent"
	beforeFinalize  = "before the finalize is sent"
	beforeSettle    = "with an accepted answer in hand"
	afterSettle     = "after the settle, before it is told"
	beforeSettle1of = "with the answer of the first of two rounds in hand"
	beforeFinal2    = "before the second finalize is sent"
	beforeSettle2   = "with the answer of the second round in hand"
)

// pausedAt makes a process that pauses there.
func pausedAt(d *device, where string) *paused {
	p := &paused{clock: &shifted{Store: d.memory}, stopped: make(chan struct{}), woken: make(chan struct{})}
	exchanges := map[inwebo.Exchange]int{}
	client := newBridge(d.sim)
	client.meddle = func(exchange inwebo.Exchange) mishap {
		exchanges[exchange]++
		setups, finalizes := exchanges[inwebo.ExchangeOTPSetup], exchanges[inwebo.ExchangeOTPFinalize]
		if where == beforeSetup && setups == 1 && finalizes == 0 || where == beforeFinalize && finalizes == 1 && setups == 1 ||
			where == beforeFinal2 && finalizes == 2 && setups == 2 {
			p.stop()
		}
		return fine
	}
	store := &storetest.Breaking{Store: p.clock, Decide: func(c storetest.Call) storetest.Fault {
		switch {
		case (where == beforeSettle || where == beforeSettle1of) && c.N == settle1.nth, where == beforeSettle2 && c.N == settle2.nth:
			p.stop()
		case where == afterSettle && c.N == settle1.nth:
			applyLate(c, d.memory)
			p.stop()
			return storetest.Fault{Err: errStoreFault}
		}
		return storetest.Fault{}
	}}
	p.service = otp.New(store, client, generous(), nil)
	return p
}

// What the process does that takes over.
type takeover struct {
	name    string
	pin     secret.Text
	happens mishap // to its finalize
	absent  bool   // it does nothing
}

var takeovers = []takeover{
	{name: "right PIN", pin: rightPIN},
	{name: "wrong PIN", pin: wrongPIN},
	{name: "right PIN, answer lost", pin: rightPIN, happens: answerLost},
	{name: "wrong PIN, answer lost", pin: wrongPIN, happens: answerLost},
	{name: "right PIN, request lost", pin: rightPIN, happens: requestLost},
	{name: "never sent", pin: rightPIN, happens: neverSent},
	{name: "nobody", absent: true},
}

// A holder sleeps past its deadline while another process takes over, and wakes up afterwards.
func TestAPausedHolder(t *testing.T) {
	t.Parallel()
	everyPause(t, func(*paused) { time.Sleep(limits().Deadline + otp.HoldMargin) },
		beforeSetup, beforeFinalize, beforeSettle, afterSettle, beforeSettle1of, beforeFinal2, beforeSettle2)
}

// The store's clock jumps, and another process takes over while a holder with an answer in hand has time left.
func TestAHolderWhoseStoreJumpsAhead(t *testing.T) {
	t.Parallel()
	everyPause(t, func(p *paused) { p.clock.advance(limits().Deadline + otp.HoldMargin) },
		beforeSettle, afterSettle, beforeSettle1of, beforeSettle2)
}

func everyPause(t *testing.T, pass func(*paused), points ...string) {
	for mode, sim := range simulators(t) {
		for _, where := range points {
			for _, movement := range movements {
				for _, other := range takeovers {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", mode, where, movement, other.name), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							own := inwebosim.Override{Ratchet: movement}
							if strings.Contains(where, "second") || strings.Contains(where, "two") {
								own.SecondRound = inwebosim.SecondRoundEveryOther
							}
							d := plant(t, sim, own)
							d.testPaused(t, pausedAt(d, where), pass, other)
						})
					})
				}
			}
		}
	}
}

func (d *device) testPaused(t *testing.T, holder *paused, pass func(*paused), other takeover) {
	asleep := make(chan error, 1)
	go func() {
		issued, err := holder.service.IssueOTP(t.Context(), d.request(), rightPIN)
		if err == nil {
			mustVerify(t, d, issued, err)
		}
		asleep <- err
	}()
	<-holder.stopped
	pass(holder)
	if r := d.record(t); r.Lease != nil && !r.InDoubt(holder.clock.now()) {
		t.Error("the holder is past its time, and the device is not in doubt")
	}
	if !other.absent {
		d.takeOver(t, holder.clock, other)
	}
	close(holder.woken)
	callerErr := <-asleep
	drained(t, holder.service)

	r, truth := d.record(t), d.truth(t)
	if r.Lease != nil {
		t.Errorf("somebody still holds the device: %+v", r.Lease)
	}
	if !d.inStep(t) && r.Doubt == nil {
		t.Errorf("inWebo is ahead, and that is unknown; the holder was told %v", callerErr)
	}
	if known := r.Guard.Wrong + len(r.Guard.Attempts); known < int(truth.WrongInARow) {
		t.Errorf("inWebo counts %d wrong PINs, the guard knows of %d", truth.WrongInARow, known)
	}
	if unanswered := other.happens == answerLost || other.happens == requestLost; (len(r.Guard.Attempts) == 1) != unanswered {
		t.Errorf("guesses without an answer: %+v", r.Guard.Attempts)
	}
	if truth.MaxFinalizesPerChallenge > 1 {
		t.Error("two finalizes for one challenge")
	}
	d.mustStillWork(t, holder.clock)
}

// takeOver asks for an OTP in another process. One that is given verifies.
func (d *device) takeOver(t *testing.T, store *shifted, other takeover) {
	t.Helper()
	before := d.record(t)
	inDoubt := before.InDoubt(store.now())
	client := newBridge(d.sim)
	client.meddle = onFinalize(other.happens)
	service := otp.New(store, client, generous(), nil)
	issued, err := service.IssueOTP(t.Context(), d.request(), other.pin)
	drained(t, service)
	switch {
	case err == nil && !d.sim.Verify(issued.OTP.Reveal()):
		t.Error("the other's OTP does not verify")
	case err != nil && inDoubt && otp.CauseOf(err) == otp.ErrPINRefused:
		t.Errorf("a device in doubt is refused with its own cause: %v", err)
	}
}

// mustStillWork wants an OTP for the right PIN when no guess is missing any more; only a device that lags behind
// in doubt may be refused for it, and says so.
func (d *device) mustStillWork(t *testing.T, store *shifted) {
	t.Helper()
	r, lags := d.record(t), !d.inStep(t)
	time.Sleep(limits().Guard.Unanswered)
	service := otp.New(store, newBridge(d.sim), generous(), nil)
	if r.Guard.Wrong >= limits().Guard.Attempts {
		must(t, service.Unlock(t.Context(), d.request()))
	}
	issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	drained(t, service)
	if lags && otp.CauseOf(err) == otp.ErrInDoubt {
		return
	}
	mustVerify(t, d, issued, err)
	if !d.inStep(t) || d.record(t).Doubt != nil {
		t.Error("after an OTP the device is not in step, or in doubt")
	}
}

// The store's clock jumps ahead between setup and finalize, so that another process takes over and its challenge replaces that
// of the holder. inWebo then refuses the holder's right PIN: the holder is not told that it was wrong.
func TestOvertakenHolderIsNotToldThatItsPINIsWrong(t *testing.T) {
	t.Parallel()
	for _, mode := range []inwebosim.LostFinalize{inwebosim.LostFinalizeStrict, inwebosim.LostFinalizeForbidden} {
		sim := started(t, func(k *inwebosim.Knobs) { k.LostFinalize = mode })
		synctest.Test(t, func(t *testing.T) {
			d := plant(t, sim, inwebosim.Override{})
			holder := pausedAt(d, beforeFinalize)
			callerErr := make(chan error, 1)
			go func() {
				_, err := holder.service.IssueOTP(t.Context(), d.request(), rightPIN)
				callerErr <- err
			}()
			<-holder.stopped
			holder.clock.advance(limits().Deadline + otp.HoldMargin)
			d.takeOver(t, holder.clock, takeover{pin: rightPIN})
			close(holder.woken)
			if err := <-callerErr; otp.CauseOf(err) != otp.ErrInDoubt {
				t.Errorf("%s: told %v, want %v", mode, err, otp.ErrInDoubt)
			}
			if r, truth := d.record(t), d.truth(t); r.Guard.Wrong != int(truth.WrongInARow) {
				t.Errorf("%s: inWebo counts %d wrong PINs, the guard %d", mode, truth.WrongInARow, r.Guard.Wrong)
			}
		})
	}
}
