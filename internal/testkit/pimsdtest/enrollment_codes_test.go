package pimsdtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// Every refusal of inWebo, in each exchange of an enrollment and in the check of a code, has its code; and the way on is a
// new SMS code, with the serial that the account has.
func TestEveryRefusalOfAnEnrollment(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	for i, r := range []struct {
		err          string
		code, status int
		parameter    string
	}{
		{"NOK:CODE", 2305, 422, ""},
		{"NOK:ACCESS", 2308, 403, ""},
		{"NOK:VERSION", 2309, 502, ""},
		{"NOK:NOK_BLOCKED", 2310, 423, ""},
		{"NOK:STATE", 2311, 409, ""},
		{"NOK:NODEVICE", 2312, 404, ""},
		{"NOK:NOCA", 2313, 409, ""},
		{"NOK:NOSRV", 2314, 409, ""},
		{"NOK:SYNCHROFAILED", 2316, 502, ""},
		{"NOK:FORBIDDEN", 2317, 403, ""},
		{"NOK:PINREFUSED", 2102, 400, "pinCode"},
		{"NOK:TIMEOUT", 2311, 409, ""},
		{"NOK:MAXNBTOOLS", 2348, 409, ""},
		{"NOK:BIOKEY", 2310, 423, ""},
		{"NOK:SAT", 2000, 500, ""},
	} {
		for j, at := range []inwebosim.Match{
			{Action: pimsdtest.ActionSetup, Mode: "activate"},
			{Action: pimsdtest.ActionFinalize, Mode: "activate"},
			{Action: pimsdtest.ActionFinalize, Mode: "ms"},
		} {
			a := freshOn(t, d, fmt.Sprintf("account %d %d", i, j), fmt.Sprintf("code%d%d", i, j))
			refuse := inwebosim.Fault{Kind: inwebosim.KindErr, Err: r.err, Match: at}
			label, published := fifteen()[r.code]
			if !published {
				label = others()[r.code]
			}
			label = strings.ReplaceAll(label, "[PARAMETER]", r.parameter)
			if at.Action == pimsdtest.ActionSetup && r.err != "NOK:PINREFUSED" { // there is no PIN in a check
				plant(t, d, refuse)
				wantFailure(t, check(a), r.status, r.code, label, false)
			}
			plant(t, d, refuse)
			wantFailure(t, enroll(a, ""), r.status, r.code, label, false)
			if r.err == "NOK:SYNCHROFAILED" && at.Mode == "ms" { // the device may be there: it is tried, and here it is not
				wantFailure(t, a.OTP(aPIN), 502, 2316, fifteen()[2316], false)
			} else {
				wantFailure(t, a.OTP(aPIN), 404, 2312, fifteen()[2312], false)
			}
			newCode(t, a)
			wantResult(t, enroll(a, ""), `{}`)
			wantOTP(t, a)
		}
	}
}

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

// An activation that gives no secret makes no device, and says that there is no service.
func TestAnEnrollmentWithoutASecret(t *testing.T) {
	t.Parallel()
	a := fresh(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.Secrets = 0 })
	wantFailure(t, enroll(a, ""), 409, 2314, fifteen()[2314], false)
	wantParts(t, status(a), `"isDeviceActivated":false`)
}

// Whatever becomes of a request or an answer: the caller is told, nothing half-enrolled is used, and the next enrollment
// shows inWebo the serial of the first.
func TestLostExchangesOfAnEnrollment(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.DeviceLimit, s.Inwebo.Knobs.Secrets = 1, 2 })
	for i, tt := range []struct {
		action, mode string
		kind         inwebosim.Kind
		code         int
		reason       string
	}{
		{pimsdtest.ActionSetup, "activate", inwebosim.KindLostRequest, 2202, "inwebo_unreachable"},
		{pimsdtest.ActionSetup, "activate", inwebosim.KindLostAnswer, 2202, "inwebo_unreachable"},
		{pimsdtest.ActionFinalize, "activate", inwebosim.KindLostRequest, 2202, "activation_lost"},
		{pimsdtest.ActionFinalize, "activate", inwebosim.KindLostAnswer, 2202, "activation_lost"},
		{pimsdtest.ActionFinalize, "activate", inwebosim.KindTruncated, 2316, "answer_unreadable"},
		{pimsdtest.ActionFinalize, "ms", inwebosim.KindLostRequest, 2202, "activation_lost"},
		{pimsdtest.ActionFinalize, "ms", inwebosim.KindLostAnswer, 2202, "activation_lost"},
	} {
		t.Run(fmt.Sprint(tt.action, " ", tt.mode, " ", tt.kind), func(t *testing.T) {
			a := freshOn(t, d, fmt.Sprintf("account %d", i), fmt.Sprintf("code%d", i))
			plant(t, d, inwebosim.Fault{Kind: tt.kind, Match: inwebosim.Match{Action: tt.action, Mode: tt.mode}, Bytes: -9})
			if got := enroll(a, ""); got.Code != tt.code || got.Header.Get("X-Pims-Reason") != tt.reason {
				t.Errorf("told %s, %v, want %d, %s", got.Body, got.Header, tt.code, tt.reason)
			}
			wantParts(t, status(a), `"isDeviceActivated":false`, `"state":"not enrolled"`)
			wantFailure(t, a.OTP(aPIN), 404, 2312, fifteen()[2312], false)
			newCode(t, a)
			wantResult(t, enroll(a, ""), `{}`) // DeviceLimit is 1: with another serial it would be refused
			wantOTP(t, a)
		})
	}
}
