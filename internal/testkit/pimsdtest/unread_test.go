package pimsdtest_test

import (
	"net/http"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

const unreadAnswers = "pimsd_unread_answers"

// An accepted answer that cannot be read is told as 2316, kept and counted; an accepted proof discards it.
func TestAnAnswerThatCannotBeReadIsCounted(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	alice := moving(t, d, inwebosim.Override{Ratchet: inwebosim.RatchetNone, SecondRound: inwebosim.SecondRoundNever}) // no step is lost with the answer
	alice.Plant(inwebosim.Fault{Kind: inwebosim.KindTruncated, Bytes: -1, Match: inwebosim.Match{Action: pimsdtest.ActionFinalize}})
	if got := alice.OTP(alice.PIN); got.Code != 2316 || got.Status != http.StatusBadGateway {
		t.Errorf("told %d %s", got.Status, got.Body)
	}
	if kept, doubts := d.Metrics()[unreadAnswers], d.InDoubt(); kept != 1 || doubts != 1 {
		t.Errorf("%v answers are kept, %v devices in doubt", kept, doubts)
	}
	if got := alice.OTP(alice.PIN); got.Code != 0 {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
	if kept, doubts := d.Metrics()[unreadAnswers], d.InDoubt(); kept != 0 || doubts != 0 {
		t.Errorf("after an OTP %v answers are kept, %v devices in doubt", kept, doubts)
	}
}

// An enrollment whose last answer says OK and cannot be read has made the device: it is stored, in doubt, and works.
func TestAnEnrollmentWhoseAnswerCannotBeRead(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	a := freshOn(t, d, "someone", "code1")
	plant(t, d, inwebosim.Fault{Kind: inwebosim.KindTruncated, Match: inwebosim.Match{Action: pimsdtest.ActionFinalize, Mode: "ms"}, Bytes: -1})
	if got := enroll(a, ""); got.Code != 2316 {
		t.Errorf("told %s", got.Body)
	}
	wantParts(t, status(a), `"isDeviceActivated":true`)
	if kept, doubts := d.Metrics()[unreadAnswers], d.InDoubt(); kept != 1 || doubts != 1 {
		t.Errorf("%v answers are kept, %v devices in doubt", kept, doubts)
	}
	wantOTP(t, a)
}
