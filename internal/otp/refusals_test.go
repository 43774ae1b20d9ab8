package otp_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A device in doubt that is refused with ACCESS, STATE or FORBIDDEN is told so; every other refusal keeps its own cause.
// Whatever refuses it, the doubt stays.
func TestRefusedWhileInDoubt(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	client := wire(t, sim.ProtocolURL(), time.Minute)
	doubts := map[error]bool{otp.ErrPINRefused: true, otp.ErrAccess: true, otp.ErrState: true, otp.ErrForbidden: true}
	for _, at := range []point{setup1, finalize1} {
		for _, f := range refusals() {
			f = f.at(at.exchange)
			t.Run(fmt.Sprintf("%s/%s", at, f.name), func(t *testing.T) {
				t.Parallel()
				d := plant(t, sim, inwebosim.Override{})
				service := otp.New(d.memory, client, limits(), nil)
				must(t, service.Doubt(t.Context(), d.request()))
				n := f.simFault
				n.Match = d.match(at.action)
				must(t, sim.Plant(n))

				_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
				want := f.cause
				if doubts[f.cause] {
					want = otp.ErrInDoubt
				}
				if otp.CauseOf(err) != want || !errors.Is(err, f.cause) {
					t.Errorf("the caller is told %v, want %v", err, want)
				}
				if d.record(t).Doubt == nil {
					t.Error("the doubt is gone")
				}
				issued, err := otp.New(d.later(), client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
				mustVerify(t, d, issued, err)
				if d.record(t).Doubt != nil {
					t.Error("an accepted proof leaves the doubt")
				}
			})
		}
	}
}

// A refusal may carry new keys: they are stored, and the next OTP verifies.
func TestARefusalMayMoveTheKeys(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	client := wire(t, sim.ProtocolURL(), time.Minute)
	processed := true
	for _, movement := range movements {
		for _, f := range refusals() {
			t.Run(fmt.Sprintf("%s/%s", movement, f.name), func(t *testing.T) {
				t.Parallel()
				d := plant(t, sim, inwebosim.Override{Ratchet: movement})
				n := f.simFault
				n.Match, n.Process = d.match("ActionFinalize"), &processed
				must(t, sim.Plant(n))
				_, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
				if otp.CauseOf(err) != f.cause {
					t.Errorf("the caller is told %v", err)
				}
				steps := uint64(1)
				if movement == inwebosim.RatchetNone {
					steps = 0
				}
				want := remains{steps: steps, finalizes: 1}
				if f.result == done {
					want.doubt, want.units = true, 1
				}
				if f.mayCount {
					want.guesses = 1
				}
				d.mustRemain(t, want, f.counts)
				d.mustGoOn(t, client, false)
			})
		}
	}
}

// SYNCHROFAILED says that the operation was done: it forgives earlier wrong PINs as any success does, and the unit is spent.
func TestSynchroFailedIsASuccessOfThePIN(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	client := newBridge(sim)
	_, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), wrongPIN)
	if !errors.Is(err, otp.ErrPINRefused) {
		t.Fatal(err)
	}
	must(t, sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:SYNCHROFAILED", Match: d.match("ActionFinalize")}))
	if _, err = otp.New(d.later(), client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrSynchroFailed {
		t.Errorf("told %v", err)
	}
	d.mustRemain(t, remains{doubt: true, units: 1, finalizes: 2}, false)
}

// TIMEOUT gets one fresh try, in whichever round it comes; what it carried is not lost.
func TestTooSlowBetweenSetupAndFinalize(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	client := wire(t, sim.ProtocolURL(), time.Minute)
	processed := true
	for _, row := range []struct {
		name      string
		round     int
		times     int
		moved     bool // the refusal carries keys
		callerErr error
		remain    remains
		lines     []string
	}{
		{"once", 1, 1, false, nil, remains{1, false, 0, 1, 2}, []string{"attempt", "outcome: done"}},
		{"twice", 1, 2, false, otp.ErrTooSlow, remains{0, false, 0, 0, 2}, []string{"attempt", "outcome: operation_too_slow"}},
		{"once, with keys", 1, 1, true, nil, remains{2, false, 0, 1, 2}, []string{"attempt", "outcome: operation_too_slow", "outcome: done"}},
		{"twice, with keys", 1, 2, true, otp.ErrTooSlow, remains{2, false, 0, 0, 2}, []string{"attempt", "outcome: operation_too_slow", "outcome: operation_too_slow"}},
		{"once in the second round", 2, 1, false, nil, remains{2, false, 0, 1, 3}, []string{"attempt", "outcome: done", "outcome: done"}},
		{"twice in the second round", 2, 2, false, otp.ErrSecondRound, remains{1, false, 0, 1, 3}, []string{"attempt", "outcome: done", "outcome: second_round_failed"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := plant(t, sim, inwebosim.Override{SecondRound: secondRound(row.round)})
			n := inwebosim.Fault{
				Kind: inwebosim.KindErr, Err: "NOK:TIMEOUT", Match: d.match("ActionFinalize"), Skip: row.round - 1, Times: row.times,
			}
			if row.moved {
				n.Process = &processed
			}
			must(t, sim.Plant(n))
			issued, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
			if otp.CauseOf(err) != row.callerErr {
				t.Errorf("the caller is told %v, want %v", err, row.callerErr)
			}
			if row.callerErr == nil {
				mustVerify(t, d, issued, err)
			}
			d.mustRemain(t, row.remain, false)
			mustHaveLines(t, d, row.lines...)
			d.mustGoOn(t, client, false)
		})
	}
}

// After keys that a refusal carried and the store does not take, no second try follows.
func TestTooSlowWhoseKeysAreNotStored(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d, processed := plant(t, sim, inwebosim.Override{}), true
	must(t, sim.Plant(inwebosim.Fault{
		Kind: inwebosim.KindErr, Err: "NOK:TIMEOUT", Match: d.match("ActionFinalize"), Times: 1, Process: &processed,
	}))
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		store := &storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
			if c.N >= settle1.nth && !ended.Load() {
				return storetest.Fault{Err: errStoreFault}
			}
			return storetest.Fault{}
		}}
		service := otp.New(store, newBridge(sim), limits(), nil)
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrNotStored {
			t.Errorf("told %v", err)
		}
		if got := d.truth(t).Finalizes; got != 1 {
			t.Errorf("inWebo has got %d finalizes, want 1", got)
		}
		ended.Store(true)
		drained(t, service)
	})
}

// A setup that the network broke off is tried once more, unseen by the caller.
func TestSetupIsTriedAgain(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	client := wire(t, sim.ProtocolURL(), time.Minute)
	for _, f := range silences(sim) {
		if !f.retried {
			continue
		}
		for _, at := range []point{setup1, setup2} {
			t.Run(fmt.Sprintf("%s/%s", at, f.name), func(t *testing.T) {
				t.Parallel()
				d := plant(t, sim, inwebosim.Override{SecondRound: secondRound(at.round)})
				n := f.simFault
				n.Match, n.Skip = d.match(at.action), at.round-1
				must(t, sim.Plant(n))
				issued, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
				mustVerify(t, d, issued, err)
				if truth := d.truth(t); int(truth.Setups) != at.round+1 || int(truth.Finalizes) != at.round {
					t.Errorf("inWebo received %d setups and %d finalizes", truth.Setups, truth.Finalizes)
				}
			})
		}
	}
}
