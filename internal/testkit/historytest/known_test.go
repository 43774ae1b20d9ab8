package historytest

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// A kept answer is read again twice. In between, inWebo refuses a wrong PIN and moves the keys all the same: the second reading must
// not put the state before that step back.
func TestRereadAfterALaterStep(t *testing.T) {
	t.Parallel()
	e := newEnv(t, stores[0])
	defer e.close()
	e.mustHappen(t, history{
		Lost: inwebosim.LostFinalizeForbidden, Ratchet: inwebosim.RatchetDK1, SecondRound: inwebosim.SecondRoundAlways,
		ChecksPIN: true, RefusalsMove: true, Processes: 1, Late: true,
		Ops: []op{
			{Verb: "otp", Troubles: []trouble{{Fault: older, At: 4}}},
			{Verb: "reread"},
			{Verb: "otp", WrongPIN: true},
			{Verb: "reread"},
		},
	})
}
