package pimsdtest_test

import (
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// roundCauses are second rounds that fail after a good first one.
func roundCauses() (all []cause) {
	second := func(name, action string, n inwebosim.Fault) {
		n = at(action, n)
		n.Skip, n.Process = 1, new(bool)
		all = append(all, cause{name: "second round: " + name, code: 2316, status: 502, before: func(t *testing.T, a *pimsdtest.Account) {
			always(t, a)
			a.Plant(n)
		}})
	}
	for _, err := range []string{"NOK:ACCESS", "NOK:STATE", "NOK:FORBIDDEN", "NOK:NOK_BLOCKED", "NOK:VERSION", "NOK:SAT"} {
		second(err+" to the setup", pimsdtest.ActionSetup, inwebosim.Fault{Kind: inwebosim.KindErr, Err: err})
		second(err+" to the finalize", pimsdtest.ActionFinalize, inwebosim.Fault{Kind: inwebosim.KindErr, Err: err})
	}
	second("no setup", pimsdtest.ActionSetup, inwebosim.Fault{Kind: inwebosim.KindLostRequest})
	second("no finalize", pimsdtest.ActionFinalize, inwebosim.Fault{Kind: inwebosim.KindLostRequest})
	second("a web page for a setup", pimsdtest.ActionSetup, inwebosim.Fault{Kind: inwebosim.KindHTML})
	second("nonsense for a finalize", pimsdtest.ActionFinalize, inwebosim.Fault{Kind: inwebosim.KindEmpty})
	return all
}

// always makes inWebo ask for a second round each time.
func always(t *testing.T, a *pimsdtest.Account) {
	t.Helper()
	if err := a.Daemon.Inwebo.SetOverride(a.Expected().ID, inwebosim.Override{SecondRound: inwebosim.SecondRoundAlways}); err != nil {
		t.Fatal(err)
	}
}

// movements are the ways in which inWebo moves the keys of a device, and asks for a second round or not.
func movements() (all []inwebosim.Override) {
	for _, ratchet := range []inwebosim.Ratchet{
		inwebosim.RatchetNone, inwebosim.RatchetDK1, inwebosim.RatchetK1, inwebosim.RatchetK0K1, inwebosim.RatchetK0K1dK1,
	} {
		for _, round := range []inwebosim.SecondRound{
			inwebosim.SecondRoundNever, inwebosim.SecondRoundAlways, inwebosim.SecondRoundEveryOther, inwebosim.SecondRoundStubborn,
		} {
			all = append(all, inwebosim.Override{Ratchet: ratchet, SecondRound: round})
		}
	}
	return all
}

// moving is a new account of the daemon, whose device moves like that.
func moving(t *testing.T, d *pimsdtest.Daemon, how inwebosim.Override) *pimsdtest.Account {
	t.Helper()
	a := d.Enroll(fmt.Sprintf("%s, J %s", how.Ratchet, how.SecondRound), aPIN)
	if err := d.Inwebo.SetOverride(a.Expected().ID, how); err != nil {
		t.Fatal(err)
	}
	return a
}

// In every movement of the keys, each OTP is accepted once, and takes the rounds that inWebo asks for.
func TestOTPsInARow(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	for _, how := range movements() {
		a := moving(t, d, how)
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			const row = 20
			for range row {
				wantOTP(t, a)
			}
			expected := a.Expected()
			if want := rounds(how.SecondRound, row); expected.Step != want {
				t.Errorf("%d OTPs took %d rounds, want %d", row, expected.Step, want)
			}
			if expected.WrongProofs != 0 || expected.StaleProofs != 0 || expected.StaleSyncs != 0 || expected.Overlaps != 0 || expected.MaxFinalizesPerChallenge != 1 {
				t.Errorf("inWebo has seen what it should not: %+v", expected.Counters)
			}
		})
	}
}

// rounds is what a row of OTPs takes. A J in a second round is not followed.
func rounds(how inwebosim.SecondRound, row int) uint32 {
	switch how {
	case inwebosim.SecondRoundNever:
		return uint32(row)
	case inwebosim.SecondRoundEveryOther:
		return uint32(row + row/2)
	default:
		return uint32(2 * row)
	}
}
