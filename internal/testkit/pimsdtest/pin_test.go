package pimsdtest_test

import (
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// Whatever wrong PINs come between, the right one works: nothing of a refusal, and of an OTP that a wrong PIN got from an
// inWebo that does not check it, spoils what is stored.
func TestWrongPINsSpoilNothing(t *testing.T) {
	t.Parallel()
	const pins = "rwrwwrrwwr" // right and wrong ones; three wrong ones in a row would block the account
	for _, checked := range []bool{true, false} {
		t.Run(fmt.Sprintf("checked %v", checked), func(t *testing.T) {
			t.Parallel()
			d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.CheckPIN = checked })
			for _, how := range movements() {
				a := moving(t, d, how)
				for i, pin := range pins {
					if pin == 'r' {
						wantOTP(t, a)
						continue
					}
					got := a.OTP(wrongPIN)
					if checked && got.Code != 2308 || got.OTP != "" && a.Verify(got.OTP) {
						t.Fatalf("%s: call %d, a wrong PIN: %s", a.Name, i, got.Body)
					}
				}
			}
		})
	}
}

func TestThreeWrongPINsBlock(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	for _, want := range []int{2308, 2308, 2310, 2310} {
		if got := a.OTP(wrongPIN); got.Code != want {
			t.Errorf("got %s, want %d", got.Body, want)
		}
	}
	if err := a.Daemon.Inwebo.Unblock(a.Expected().ID); err != nil { // as people do on the vendor's site
		t.Fatal(err)
	}
	wantOTP(t, a)
}
