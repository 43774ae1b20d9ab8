package pimsdtest_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// doubting prepares a device in doubt: the answer to a finalize, processed or not, is lost. Then comes a fault, if any.
func doubting(processed bool, then ...inwebosim.Fault) func(*testing.T, *pimsdtest.Account) {
	return func(t *testing.T, a *pimsdtest.Account) {
		t.Helper()
		loseAnswer(t, a, processed)
		for _, n := range then {
			a.Plant(n)
		}
	}
}

// loseAnswer asks for an OTP and lets the answer to the finalize be lost.
func loseAnswer(t *testing.T, a *pimsdtest.Account, processed bool) {
	t.Helper()
	a.Plant(inwebosim.Fault{
		Kind: inwebosim.KindLostAnswer, Process: &processed, Match: inwebosim.Match{Action: pimsdtest.ActionFinalize},
	})
	if got := a.OTP(a.PIN); got.Code != 2202 || got.Status != 502 {
		t.Fatalf("a lost answer: %d %s", got.Status, got.Body)
	}
}

// doubtCauses are refusals of a device in doubt.
func doubtCauses() []cause {
	refuse := func(err string) inwebosim.Fault {
		return at(pimsdtest.ActionFinalize, inwebosim.Fault{Kind: inwebosim.KindErr, Err: err})
	}
	return []cause{
		{name: "in doubt, and inWebo refuses the old keys", code: 2316, status: 502, stays: true, before: doubting(true)},
		{
			name: "in doubt, and inWebo forbids the old keys", code: 2316, status: 502, stays: true, before: doubting(true),
			alone: func(s *pimsdtest.Setup) { s.Inwebo.Knobs.LostFinalize = inwebosim.LostFinalizeForbidden },
		},
		{name: "in doubt, ACCESS", code: 2316, status: 502, before: doubting(false, refuse("NOK:ACCESS"))},
		{name: "in doubt, STATE", code: 2316, status: 502, before: doubting(false, refuse("NOK:STATE"))},
		{name: "in doubt, FORBIDDEN", code: 2316, status: 502, before: doubting(false, refuse("NOK:FORBIDDEN"))},
		{name: "in doubt, VERSION", code: 2309, status: 502, before: doubting(false, refuse("NOK:VERSION"))},
		{name: "in doubt, BLOCKED", code: 2310, status: 423, before: doubting(false, refuse("NOK:NOK_BLOCKED"))},
	}
}

// A device whose answer was lost is counted, and works again when inWebo takes what is stored.
func TestDoubtEndsWithTheNextOTP(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.LostFinalize = inwebosim.LostFinalizeLenient })
	for _, how := range movements() {
		a := moving(t, d, how)
		for _, processed := range []bool{false, true} {
			loseAnswer(t, a, processed)
			if n := d.InDoubt(); n != 1 {
				t.Errorf("%s, processed %v: %v devices in doubt", a.Name, processed, n)
			}
			wantOTP(t, a)
			if n := d.InDoubt(); n != 0 {
				t.Errorf("%s, processed %v: %v devices in doubt after an OTP", a.Name, processed, n)
			}
		}
	}
}

// A device that inWebo does not take back stays in doubt until it is enrolled again.
func TestDoubtEndsWithAnEnrollment(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	loseAnswer(t, a, true)
	if got := a.OTP(aPIN); got.Code != 2316 {
		t.Errorf("%s", got.Body)
	}
	if n := a.Daemon.InDoubt(); n != 1 {
		t.Errorf("%v devices in doubt", n)
	}
	again := a.Daemon.Enroll(a.Name, "567890")
	if n := a.Daemon.InDoubt(); n != 0 {
		t.Errorf("%v devices in doubt after a new enrollment", n)
	}
	wantOTP(t, again)
}

// Why a device that fell behind must lock its account where inWebo counts old keys as wrong PINs: one right PIN more than
// the guard forwards, and inWebo has blocked it. Without the guard that is what happens.
func TestRightPINsOfADeviceThatFellBehind(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		attempts int
		told     []int
		counted  uint32
		blocked  bool
	}{
		{attempts: 2, told: []int{2316, 2316, 2308, 2308}, counted: 2},
		{attempts: 0, told: []int{2316, 2316, 2310, 2310}, counted: 3, blocked: true},
	} {
		a := enrolled(t, func(s *pimsdtest.Setup) {
			s.Config.Guard.Attempts, s.Config.Guard.Pause, s.Config.Guard.Unanswered = tc.attempts, 0, time.Millisecond
		})
		loseAnswer(t, a, true)
		for i, want := range tc.told {
			if got := a.OTP(a.PIN); got.Code != want {
				t.Errorf("%d attempts, call %d: %s, want %d", tc.attempts, i+1, got.Body, want)
			}
		}
		if expected := a.Expected(); expected.WrongInARow != tc.counted || expected.Blocked != tc.blocked {
			t.Errorf("%d attempts: inWebo has counted %d, blocked: %v", tc.attempts, expected.WrongInARow, expected.Blocked)
		}
		if !tc.blocked {
			wantOTP(t, a.Daemon.Enroll(a.Name, a.PIN))
		}
	}
}
