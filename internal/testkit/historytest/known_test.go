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

// The row that a conversation has leased is replaced by one of an earlier import of the same device: what inWebo accepts meanwhile must put
// that device in doubt.
func TestRestoredRowOfAnEarlierImport(t *testing.T) {
	t.Parallel()
	e := newEnv(t, stores[0])
	defer e.close()
	e.mustHappen(t, history{
		Lost: inwebosim.LostFinalizeLenient, Ratchet: inwebosim.RatchetK1, SecondRound: inwebosim.SecondRoundEveryOther,
		Enrolls: true, Processes: 2,
		Ops: []op{
			{Verb: "delete row"},
			{Verb: "import"},
			{Verb: "otp", Troubles: []trouble{{Fault: sleep, At: 8}}},
			{Verb: "restore row", Number: 3},
		},
	})
}

// The row of an account is deleted during a conversation, and another account imports the device: the answer brings no device back.
func TestDeletedRowWhoseDeviceIsElsewhere(t *testing.T) {
	t.Parallel()
	e := newEnv(t, stores[0])
	defer e.close()
	e.mustHappen(t, history{
		Lost: inwebosim.LostFinalizeLenient, Ratchet: inwebosim.RatchetK1, SecondRound: inwebosim.SecondRoundNever, ChecksPIN: true,
		Processes: 2,
		Ops: []op{
			{Verb: "otp", Troubles: []trouble{{Fault: sleep, At: 6}}},
			{Verb: "delete row"},
			{Verb: "import", Process: 1, Account: 1},
			{Verb: "delete row"},
			{Verb: "wake"},
		},
	})
}
