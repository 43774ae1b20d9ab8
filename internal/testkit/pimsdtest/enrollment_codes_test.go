package pimsdtest_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

func plant(t *testing.T, d *pimsdtest.Daemon, n inwebosim.Fault) {
	t.Helper()
	if err := d.Inwebo.Plant(n); err != nil {
		t.Fatal(err)
	}
}

// The codes of an enrollment that inWebo causes by itself, not because a test made it say so.
func TestCodesOfAnEnrollmentByTheirCauses(t *testing.T) {
	t.Parallel()
	a := fresh(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.DeviceLimit = 1 })
	a.SMSCode = "nobodys"
	wantFailure(t, enroll(a, ""), 422, 2305, others()[2305], false)
	a.SMSCode = "12 34"
	wantFailure(t, check(a), 400, 2102, "Invalid smsCode parameter", false)
	wantFailure(t, enroll(a, ""), 400, 2102, "Invalid smsCode parameter", false)
	a.SMSCode = aCode

	if err := a.Daemon.Inwebo.AddAccount(inwebosim.Account{Login: a.Name, PIN: "567890"}); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, enroll(a, ""), 403, 2308, fifteen()[2308], false)
	a.PIN = "567890"
	wantResult(t, enroll(a, ""), `{}`)
	wantOTP(t, a)
	wantFailure(t, enroll(a, "?replace=true"), 422, 2305, others()[2305], false) // the code is spent

	a.Key = a.Daemon.Key("another name for alice", "otp", "enroll") // and so another serial
	newCode(t, a)
	wantFailure(t, enroll(a, ""), 409, 2348, others()[2348], false)
}
