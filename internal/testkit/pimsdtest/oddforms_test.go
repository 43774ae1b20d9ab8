package pimsdtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// The exchanges at which forms are planted.
var (
	atOTPSetup         = inwebosim.Match{Action: pimsdtest.ActionSetup, Mode: "otp"}
	atOTPFinalize      = inwebosim.Match{Action: pimsdtest.ActionFinalize, Mode: "otp"}
	atActivateSetup    = inwebosim.Match{Action: pimsdtest.ActionSetup, Mode: "activate"}
	atActivateFinalize = inwebosim.Match{Action: pimsdtest.ActionFinalize, Mode: "activate"}
	atMSFinalize       = inwebosim.Match{Action: pimsdtest.ActionFinalize, Mode: "ms"}
)

// What a call may end with.
const (
	codeGeneric     = 2000
	codeNetwork     = 2202
	codeSyncFailed  = 2316
	codeNoService   = 2314
	statusInDoubt   = `"inDoubt":true`
	statusIsCertain = `"inDoubt":false`
)

// startOdd is a daemon at an inWebo that takes the keys of a lost step once more, so that a device that was not
// lost by the daemon can always go on.
func startOdd(t *testing.T, change ...func(*inwebosim.Knobs)) *pimsdtest.Daemon {
	t.Helper()
	return pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Inwebo.Knobs.LostFinalize = inwebosim.LostFinalizeLenient
		for _, f := range change {
			f(&s.Inwebo.Knobs)
		}
		s.Config.Log.Level = "error"
	})
}

// eachForm runs a subtest for each form that is made for the exchange.
func eachForm(t *testing.T, at inwebosim.Match, test func(t *testing.T, f inwebosim.OddForm)) {
	t.Helper()
	for _, f := range inwebosim.OddForms() {
		if f.Fits(at.Action, at.Mode) {
			t.Run(string(f.Name), func(t *testing.T) { test(t, f) })
		}
	}
}

// plantForm makes the next answer to that request of the account's device one of that form, after some have passed.
func plantForm(a *pimsdtest.Account, f inwebosim.OddForm, at inwebosim.Match, skip int) {
	a.Plant(inwebosim.Fault{Kind: inwebosim.KindForm, Form: f.Name, Match: at, Skip: skip})
}

// wantCode wants a failure with one of those codes.
func wantCode(t *testing.T, got pimsdtest.Answer, codes ...int) {
	t.Helper()
	if got.OTP != "" || !slices.Contains(codes, got.Code) {
		t.Errorf("got %d %s, want a failure with one of %v", got.Status, got.Body, codes)
	}
}

// wantStanding wants the account to be in doubt or not, and that many answers kept that could not be read. No other
// account of the daemon has any.
func wantStanding(t *testing.T, a *pimsdtest.Account, doubt string, kept float64) {
	t.Helper()
	if got := status(a); !strings.Contains(got.Body, doubt) {
		t.Errorf("the account: %s, want %s", got.Body, doubt)
	}
	if got := a.Daemon.Metrics()[unreadAnswers]; got != kept {
		t.Errorf("%v answers are kept, want %v", got, kept)
	}
}

// wantGoesOn wants the next OTPs to verify, no doubt and no kept answer left, and inWebo to have seen no wrong proof.
func wantGoesOn(t *testing.T, a *pimsdtest.Account) {
	t.Helper()
	wantOTP(t, a)
	wantOTP(t, a)
	wantStanding(t, a, statusIsCertain, 0)
	if expected := a.Expected(); expected.Blocked || expected.WrongPeak != 0 || expected.MaxFinalizesPerChallenge > 1 {
		t.Errorf("inWebo has seen what it should not: %+v", expected.Counters)
	}
}

// TestOddFormsOfAnOTPSetup: a challenge that can be read is used; another one costs nothing.
func TestOddFormsOfAnOTPSetup(t *testing.T) {
	t.Parallel()
	d := startOdd(t)
	eachForm(t, atOTPSetup, func(t *testing.T, f inwebosim.OddForm) {
		a := d.Enroll("setup-"+string(f.Name), aPIN)
		plantForm(a, f, atOTPSetup, 0)
		switch got := a.OTP(aPIN); {
		case f.Harmless(), isCut(f): // a setup is sent once more
			wantGood(t, a, got)
		default:
			wantCode(t, got, codeGeneric)
		}
		wantStanding(t, a, statusIsCertain, 0)
		wantGoesOn(t, a)
	})
}

// TestOddFormsOfAnOTPFinalize: what can be read is used. A step that cannot be used is told as 2316, kept, and leaves
// the device in doubt.
func TestOddFormsOfAnOTPFinalize(t *testing.T) {
	t.Parallel()
	d := startOdd(t)
	eachForm(t, atOTPFinalize, func(t *testing.T, f inwebosim.OddForm) {
		a := d.Enroll("finalize-"+string(f.Name), aPIN)
		plantForm(a, f, atOTPFinalize, 0)
		wantFinalized(t, a, f, a.OTP(aPIN), codeNetwork)
		wantGoesOn(t, a)
	})
}

// TestOddFormsOfASecondRound: the same for the finalize that follows a resynchronization. Without it the call is 2316.
func TestOddFormsOfASecondRound(t *testing.T) {
	t.Parallel()
	d := startOdd(t, func(k *inwebosim.Knobs) { k.SecondRound = inwebosim.SecondRoundAlways })
	eachForm(t, atOTPFinalize, func(t *testing.T, f inwebosim.OddForm) {
		a := d.Enroll("second-"+string(f.Name), aPIN)
		plantForm(a, f, atOTPFinalize, 1)
		wantFinalized(t, a, f, a.OTP(aPIN), codeSyncFailed)
		wantGoesOn(t, a)
	})
}

// TestOddFormsOfAFirstRound: the same for the finalize that asks for a resynchronization. What can be read is followed by
// the second round.
func TestOddFormsOfAFirstRound(t *testing.T) {
	t.Parallel()
	d := startOdd(t, func(k *inwebosim.Knobs) { k.SecondRound = inwebosim.SecondRoundAlways })
	eachForm(t, atOTPFinalize, func(t *testing.T, f inwebosim.OddForm) {
		a := d.Enroll("first-"+string(f.Name), aPIN)
		plantForm(a, f, atOTPFinalize, 0)
		before := a.Expected().Finalizes
		got := a.OTP(aPIN)
		if slices.Equal(f.Spoils, []string{"defi"}) { // that of a resynchronization makes no OTP
			f.Spoils = nil
		}
		wantFinalized(t, a, f, got, codeNetwork)
		if rounds := a.Expected().Finalizes - before; got.OTP != "" && rounds != 2 {
			t.Errorf("the OTP took %d rounds, want 2", rounds)
		}
		wantGoesOn(t, a)
	})
}

// isCut reports whether the connection ends before the document does.
func isCut(f inwebosim.OddForm) bool {
	return f.Reading == inwebosim.ReadingCut || f.Reading == inwebosim.ReadingBegun
}

// wantFinalized wants what the form says of the answer to an OTP finalize; ifCut is the code when none arrived.
func wantFinalized(t *testing.T, a *pimsdtest.Account, f inwebosim.OddForm, got pimsdtest.Answer, ifCut int) {
	t.Helper()
	switch {
	case f.Harmless():
		wantGood(t, a, got)
		wantStanding(t, a, statusIsCertain, 0)
	case f.Reading == inwebosim.ReadingCut:
		wantCode(t, got, ifCut)
		wantStanding(t, a, statusInDoubt, 0)
	case f.StepUsable(): // and nothing to make an OTP of
		wantCode(t, got, codeSyncFailed, codeGeneric)
		wantStanding(t, a, statusIsCertain, 0)
	default:
		wantCode(t, got, codeSyncFailed)
		wantStanding(t, a, statusInDoubt, 1)
	}
}

// TestOddFormsOfAnEnrollment: what can be read enrolls. After anything else the account can be enrolled again.
func TestOddFormsOfAnEnrollment(t *testing.T) {
	t.Parallel()
	for _, at := range []inwebosim.Match{atActivateSetup, atActivateFinalize, atMSFinalize} {
		t.Run(at.Action+" "+at.Mode, func(t *testing.T) {
			t.Parallel()
			d := startOdd(t, func(k *inwebosim.Knobs) { k.SecretsMove = true })
			number := 0
			eachForm(t, at, func(t *testing.T, f inwebosim.OddForm) {
				number++
				a := freshOn(t, d, "enroll-"+string(f.Name), fmt.Sprintf("code%08d", number))
				if err := d.Inwebo.Plant(inwebosim.Fault{Kind: inwebosim.KindForm, Form: f.Name, Match: at}); err != nil {
					t.Fatal(err)
				}
				wantEnrolled(t, a, f, at, enroll(a, ""))
				wantGoesOn(t, a)
			})
		})
	}
}

// wantEnrolled wants what the form says of an enrollment, and enrolls again when there was none.
func wantEnrolled(t *testing.T, a *pimsdtest.Account, f inwebosim.OddForm, at inwebosim.Match, got pimsdtest.Answer) {
	t.Helper()
	noServices := slices.Contains(f.Spoils, "services")
	switch {
	case noServices && got.Status != 200: // there is no list from before
		wantCode(t, got, codeNoService)
	case f.Harmless():
		wantResult(t, got, `{}`)
		return
	case f.Reading == inwebosim.ReadingCut, isCut(f) && at == atActivateSetup:
		wantCode(t, got, codeNetwork)
	case at == atActivateSetup:
		wantCode(t, got, codeGeneric)
	case f.StepUsable(): // what the next exchange would need is missing
		wantCode(t, got, codeSyncFailed, codeGeneric)
	default:
		wantCode(t, got, codeSyncFailed)
	}
	newCode(t, a)
	wantResult(t, enroll(a, "?replace=true"), `{}`)
}
