package pimsdtest_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// Whatever happens to requests and answers, no finalize is sent twice. A setup may be.
func TestNoFinalizeIsSentTwice(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) {
		s.Inwebo.Knobs.Ratchet = inwebosim.RatchetNone // so that no lost answer costs the device
		s.Inwebo.Knobs.SecondRound = inwebosim.SecondRoundEveryOther
	})
	for _, kind := range []inwebosim.Kind{inwebosim.KindLostRequest, inwebosim.KindLostAnswer, inwebosim.KindCut} {
		for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
			a.Plant(inwebosim.Fault{Kind: kind, Match: inwebosim.Match{Action: action}, Chance: 0.1, Bytes: 40})
		}
	}
	for range 200 {
		if got := a.OTP(aPIN); got.Code == 0 && !a.Verify(got.OTP) {
			t.Fatalf("inWebo does not accept the OTP %s", got.OTP)
		}
	}
	expected := a.Expected()
	if expected.MaxFinalizesPerChallenge != 1 {
		t.Errorf("%d finalizes for one challenge", expected.MaxFinalizesPerChallenge)
	}
	struck, seen := map[inwebosim.Kind]int{}, map[string]uint64{}
	for _, x := range a.Daemon.Inwebo.History(inwebosim.Match{Action: pimsdtest.ActionFinalize, Mode: "otp", ID: expected.ID}) {
		struck[x.Fault]++
		proof := x.Params.Get("R0") // made from the challenge
		if before, twice := seen[proof]; twice {
			t.Errorf("requests %d and %d are one finalize", before, x.Number)
		}
		seen[proof] = x.Number
	}
	if len(struck) < 4 || expected.Verified < 50 {
		t.Errorf("the run shows little: faults %v, %d OTPs", struck, expected.Verified)
	}
	a.Daemon.Inwebo.ClearFaults()
	wantOTP(t, a)
}

// A challenge that has expired gets one fresh try, with a challenge of its own.
func TestATimeoutGetsOneFreshTry(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	timeout := inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:TIMEOUT", Match: inwebosim.Match{Action: pimsdtest.ActionFinalize}}
	a.Plant(timeout)
	wantOTP(t, a)
	if expected := a.Expected(); expected.Setups != 2 || expected.Finalizes != 3 { // the finalize of ms is one
		t.Errorf("one time-out: %d setups, %d finalizes", expected.Setups, expected.Finalizes)
	}
	timeout.Times = 2
	a.Plant(timeout)
	if got := a.OTP(aPIN); got.Code != 2311 || got.Status != 409 {
		t.Errorf("two time-outs: %s", got.Body)
	}
	wantOTP(t, a)
	if expected := a.Expected(); expected.Setups != 5 || expected.Finalizes != 6 || expected.MaxFinalizesPerChallenge != 1 {
		t.Errorf("after two more: %d setups, %d finalizes", expected.Setups, expected.Finalizes)
	}
}

// What a refusal carries is kept (docs/protocol.md §4).
func TestARefusalThatMovesTheKeys(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	yes := true
	for _, how := range movements() {
		a := moving(t, d, how)
		for _, err := range []string{"NOK:ACCESS", "NOK:STATE", "NOK:TIMEOUT"} {
			a.Plant(inwebosim.Fault{
				Kind: inwebosim.KindErr, Err: err, Process: &yes, Match: inwebosim.Match{Action: pimsdtest.ActionFinalize},
			})
			a.OTP(aPIN)
			wantOTP(t, a)
		}
	}
}

// OK:BLOCKED returns the OTP.
func TestBlockedFromNowOn(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	yes := true
	a.Plant(inwebosim.Fault{
		Kind: inwebosim.KindErr, Err: "OK:BLOCKED", Process: &yes, Match: inwebosim.Match{Action: pimsdtest.ActionFinalize},
	})
	wantOTP(t, a)
}
