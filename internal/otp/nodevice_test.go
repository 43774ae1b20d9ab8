package otp

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// Whatever happens to a record without a device leaves no doubt: there is nothing that could lag behind inWebo, and an alert on devices in
// doubt would have no end.
func TestNothingIsInDoubtWithoutADevice(t *testing.T) {
	t.Parallel()
	bare := enrolledRecord()
	bare.Device = nil
	enrolling := heldRecord(t, bare, "a", epoch)
	later := enrolling.Lease.Until.Add(lateAnswerWait + time.Second)
	settled := func(r Record, written Record, o outcome) Record {
		params := paramsOf(written, "a")
		params.enrolls = true
		r, _ = r.applyOutcome(params, o, epoch)
		return r
	}
	for what, r := range map[string]Record{
		"a lease that is over":               heldRecord(t, enrolling, "b", later),
		"no answer":                          settled(enrolling, enrolling, outcome{result: noAnswer, err: ErrUnreachable, finalized: true}),
		"an answer that cannot be read":      settled(enrolling, enrolling, outcome{result: noAnswer, err: ErrUnreachable, unread: &UnreadAnswer{At: epoch}}),
		"the first half of an enrollment":    settled(enrolling, enrolling, ofAnswer(inwebo.Finalized{}, activated{})),
		"an answer to an earlier record":     settled(bare, enrolling, ofAnswer(inwebo.Finalized{}, activated{})),
		"an answer to a device that is gone": settled(bare, heldRecord(t, enrolledRecord(), "a", epoch), movedTo("next")),
		"a later epoch":                      bare.inEpochOf(Row{Epoch: 1, StoreEpoch: Epoch{Number: 2, Since: epoch}}),
	} {
		mustNotBeInDoubt(t, what, r, later)
	}
	disabled := enrolling
	disabled.Disabled = true
	row, err := encode(&disabled, true)
	if err != nil {
		t.Fatal(err)
	}
	row.Disabled = true
	moved, err := Transferred(row, later, 2)
	if err != nil || moved.InDoubt || moved.Epoch != 0 {
		t.Errorf("a transfer: %+v, %v", moved, err)
	}
	doubt := bare
	doubt.Doubt = &Doubt{Since: epoch}
	if doubt.InDoubt(later) {
		t.Error("a doubt that an earlier version left behind counts")
	}
}

func mustNotBeInDoubt(t *testing.T, what string, r Record, now time.Time) {
	t.Helper()
	row, err := encode(&r, true)
	if r.Device != nil || r.Doubt != nil || r.InDoubt(now) || row.InDoubt || !row.LeasedUntil.IsZero() || r.ownEpoch() != 0 || err != nil {
		t.Errorf("%s: device %v, doubt %+v; the row: in doubt %v, leased until %v; epoch %d; %v",
			what, r.Device != nil, r.Doubt, row.InDoubt, row.LeasedUntil, r.ownEpoch(), err)
	}
}
