package pimsdtest_test

import (
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// cuts are after how many bytes an answer is cut: half of them from its beginning, half from its end, which are negative.
func cuts() (all []int) {
	const points, step = 20, 11
	for n := range points / 2 {
		all = append(all, n*step, -1-n*step)
	}
	return all
}

// fromRoot is about how many bytes from its end the document of an answer to a finalize has its root open.
const fromRoot = 95

// An answer that is cut, wherever it is, gives no OTP and has no finalize sent twice. In the setup that costs nothing. In the
// finalize the doubt is reported, and what arrived behind the start of the root is kept; the doubt ends with the next OTP where inWebo takes the keys from before, and where it does not,
// the caller is told so.
func TestAnswersCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, mode := range []inwebosim.LostFinalize{inwebosim.LostFinalizeStrict, inwebosim.LostFinalizeLenient} {
		d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.LostFinalize = mode })
		for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
			for _, bytes := range cuts() {
				t.Run(fmt.Sprintf("%s, %s, %d", mode, action, bytes), func(t *testing.T) {
					a := d.Enroll(t.Name(), aPIN)
					wantOTP(t, a)
					isLost, code := action == pimsdtest.ActionFinalize, 2202
					if isLost && bytes < 0 && bytes > -fromRoot {
						code = 2316
					}
					cutAnswer(t, a, at(action, inwebosim.Fault{Kind: inwebosim.KindCut, Bytes: bytes}), code, isLost)
					if isLost && mode == inwebosim.LostFinalizeStrict {
						wantFailure(t, a.OTP(aPIN), 502, 2316, fifteen()[2316], false)
					} else {
						wantOTP(t, a)
					}
					if n := a.Expected().MaxFinalizesPerChallenge; n != 1 {
						t.Errorf("%d finalizes for one challenge", n)
					}
				})
			}
		}
	}
}

// cutAnswer asks for an OTP and cuts the answer to one of its requests, which ends the call with the code. A device whose answer
// was lost is counted as in doubt.
func cutAnswer(t *testing.T, a *pimsdtest.Account, cut inwebosim.Fault, code int, isLost bool) {
	t.Helper()
	before, doubted := a.Expected(), a.Daemon.InDoubt()
	a.Plant(cut)
	wantFailure(t, a.OTP(aPIN), 502, code, fifteen()[code], false)
	a.Daemon.Inwebo.ClearFaults()
	want := 0
	if isLost {
		want = 1
	}
	if n := a.Expected().Finalizes - before.Finalizes; int(n) != want {
		t.Errorf("%d finalizes were sent, want %d", n, want)
	}
	if n := a.Daemon.InDoubt() - doubted; n != want {
		t.Errorf("%v devices came into doubt, want %d", n, want)
	}
}
