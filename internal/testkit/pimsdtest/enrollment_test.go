package pimsdtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

const aCode = "246810"

// fresh is an account that inWebo knows, that has no device, and whose key may do everything.
func fresh(t *testing.T, change ...func(*pimsdtest.Setup)) *pimsdtest.Account {
	t.Helper()
	return freshOn(t, pimsdtest.Start(t, change...), "alice", aCode)
}

// freshOn is fresh on a daemon that is there; the code is good once.
func freshOn(t *testing.T, d *pimsdtest.Daemon, name, code string) *pimsdtest.Account {
	t.Helper()
	a := &pimsdtest.Account{
		Daemon: d, Name: name, PIN: aPIN, SMSCode: code, Key: d.Key(name, authn.ScopeOTP, authn.ScopeEnroll, authn.ScopeUnlock),
	}
	newCode(t, a)
	return a
}

// newCode has another SMS sent, whose code is the same and good once more.
func newCode(t *testing.T, a *pimsdtest.Account) {
	t.Helper()
	err := a.Daemon.Inwebo.AddAccount(inwebosim.Account{Login: a.Name, Codes: []inwebosim.Code{{Value: a.SMSCode, Once: true}}})
	if err != nil {
		t.Fatal(err)
	}
}

// enroll enrolls the account over REST, with that query.
func enroll(a *pimsdtest.Account, query string) pimsdtest.Answer {
	return a.Daemon.Call(a.Key, http.MethodPost, pimsdtest.PathEnrollment+query,
		fmt.Sprintf(`{"action":"enroll","pinCode":%q,"smsCode":%q}`, a.PIN, a.SMSCode))
}

func check(a *pimsdtest.Account) pimsdtest.Answer {
	return a.Daemon.Call(a.Key, http.MethodPost, pimsdtest.PathSMSCode, fmt.Sprintf(`{"action":"enrollment","smsCode":%q}`, a.SMSCode))
}

func status(a *pimsdtest.Account) pimsdtest.Answer {
	return a.Daemon.Call(a.Key, http.MethodGet, pimsdtest.PathAccount, "")
}

// wantResult wants the envelope of success with that result.
func wantResult(t *testing.T, got pimsdtest.Answer, result string) {
	t.Helper()
	if want := fmt.Sprintf(`{"transactionId":%q,"status":"SUCCEEDED","result":%s}`, got.Transaction, result); got.Body != want || got.Status != 200 {
		t.Fatalf("got %d %s\nwant %s", got.Status, got.Body, want)
	}
	wantHeader(t, got, false)
}

// wantParts wants those parts in the body of a success.
func wantParts(t *testing.T, got pimsdtest.Answer, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if got.Status != 200 || !strings.Contains(got.Body, part) {
			t.Errorf("%d %s lacks %s", got.Status, got.Body, part)
		}
	}
}

// From nothing to an OTP, with curl's means: ask, enroll, see, use.
func TestEnrollingOverREST(t *testing.T) {
	t.Parallel()
	a := fresh(t)
	wantParts(t, status(a), `"isDeviceActivated":false`, `"isAccountBlocked":"Unknown"`, `"state":"not enrolled"`, `"smsActivations":0`)
	wantFailure(t, a.OTP(aPIN), 404, 2312, fifteen()[2312], false)

	asked := check(a)
	wantResult(t, asked, `{"status":"NotEnrolled"}`)
	heard := a.Daemon.Inwebo.History(anything)
	if len(heard) != 1 || heard[0].Action != pimsdtest.ActionSetup || heard[0].Mode != "activate" {
		t.Errorf("inWebo heard %d requests for one check of a code", len(heard))
	}
	wantParts(t, status(a), `"smsActivations":0`)
	if lines := auditLines(t, a.Daemon, asked); !slices.Equal(lines, []string{"attempt", "outcome done"}) {
		t.Errorf("the check is audited as %q", lines)
	}

	enrolled := enroll(a, "") // the check has not spent the code
	wantResult(t, enrolled, `{}`)
	if lines := auditLines(t, a.Daemon, enrolled); !slices.Equal(lines, []string{"attempt", "outcome done", "outcome done"}) {
		t.Errorf("the enrollment is audited as %q", lines)
	}
	wantParts(t, status(a), `"isDeviceActivated":true`, `"isAccountBlocked":"NotBlocked"`, `"state":"idle"`, `"inDoubt":false`,
		`"service":"Peugeot \u0026 Citroën `, `"deviceName":"pimsd"`, `"enrolledAt":"20`, `"wrongPins":0`, `"smsActivations":1`)
	wantOTP(t, a)
	wantParts(t, status(a), `"lastOtpAt":"20`)
}

func TestAnAccountWithAPINIsEnrolledAlready(t *testing.T) {
	t.Parallel()
	a := fresh(t)
	if err := a.Daemon.Inwebo.AddAccount(inwebosim.Account{Login: a.Name, PIN: aPIN}); err != nil {
		t.Fatal(err)
	}
	wantResult(t, check(a), `{"status":"AlreadyEnrolled"}`)
	wantResult(t, enroll(a, ""), `{}`)
	wantOTP(t, a)
}

// A device is replaced when that is asked for, and the old one works until the new one is stored.
func TestReplacingADevice(t *testing.T) {
	t.Parallel()
	a := fresh(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.DeviceLimit = 1 })
	wantResult(t, enroll(a, ""), `{}`)
	serial, heard := a.Expected().Serial, len(a.Daemon.Inwebo.History(anything))
	newCode(t, a)
	for _, query := range []string{"", "?replace=false"} {
		wantFailure(t, enroll(a, query), 409, 2349, "StrongID enrollment already exists", false)
	}
	if len(a.Daemon.Inwebo.History(anything)) != heard {
		t.Error("inWebo was asked for an account that is enrolled")
	}
	wantOTP(t, a)
	a.SMSCode = "999999"
	wantFailure(t, enroll(a, "?replace=true"), 422, 2305, others()[2305], false)
	wantOTP(t, a)
	a.SMSCode = aCode
	wantResult(t, enroll(a, "?replace=true"), `{}`)
	wantOTP(t, a)
	if again := a.Expected().Serial; again != serial {
		t.Errorf("the serial went from %s to %s", serial, again)
	}
}

// An operator lifts the PIN guard over REST, and the right PIN goes through.
func TestUnlockingOverREST(t *testing.T) {
	t.Parallel()
	a := fresh(t, func(s *pimsdtest.Setup) { s.Config.Guard.Attempts, s.Config.Guard.Pause = 2, 0 })
	unlock := func() pimsdtest.Answer {
		return a.Daemon.Call(a.Key, http.MethodPost, pimsdtest.PathAccount, `{"action":"unlock"}`)
	}
	wantFailure(t, unlock(), 404, 2312, fifteen()[2312], false)
	wantResult(t, enroll(a, ""), `{}`)
	for range 2 {
		wantFailure(t, a.OTP(wrongPIN), 403, 2308, fifteen()[2308], false)
	}
	wantFailure(t, a.OTP(aPIN), 423, 2308, fifteen()[2308], false)
	wantParts(t, status(a), `"wrongPins":2`, `"pinLocked":true`)
	unlocked := unlock()
	wantResult(t, unlocked, `{}`)
	if lines := auditLines(t, a.Daemon, unlocked); !slices.Equal(lines, []string{"outcome done"}) {
		t.Errorf("audited as %q", lines)
	}
	wantParts(t, status(a), `"wrongPins":0`, `"pinLocked":false`)
	wantOTP(t, a)
}

// SMS activations are counted when inWebo may have heard of them, warned of, and refused before inWebo locks the account.
func TestSMSActivationsRunOut(t *testing.T) {
	t.Parallel()
	a := fresh(t, func(s *pimsdtest.Setup) { s.Config.Activations.WarnAt, s.Config.Activations.RefuseAt = 2, 3 })
	const warning, counter = "few SMS activations are left", "pimsd_few_sms_activations_total"
	for _, n := range []inwebosim.Fault{{Kind: inwebosim.KindErr, Err: "NOK:NOSRV"}, {Kind: inwebosim.KindHTML}} {
		n.Match = inwebosim.Match{Action: pimsdtest.ActionSetup, Mode: "activate"}
		if err := a.Daemon.Inwebo.Plant(n); err != nil {
			t.Fatal(err)
		}
		enroll(a, "")
	}
	wantParts(t, status(a), `"smsActivations":0`) // no activation has reached inWebo
	a.SMSCode = "999999"
	for tried := 1; tried <= 3; tried++ {
		wantFailure(t, enroll(a, ""), 422, 2305, others()[2305], false)
		wantParts(t, status(a), fmt.Sprintf(`"smsActivations":%d`, tried))
		if warned := strings.Contains(a.Daemon.Log(), warning); warned != (tried >= 2) {
			t.Errorf("after %d activations it is warned: %v", tried, warned)
		}
	}
	heard := len(a.Daemon.Inwebo.History(anything))
	a.SMSCode = aCode
	for _, query := range []string{"", "?replace=true"} {
		wantFailure(t, enroll(a, query), 409, 2348, others()[2348], false)
	}
	if len(a.Daemon.Inwebo.History(anything)) != heard {
		t.Error("inWebo was asked after the last activation")
	}
	if counted := a.Daemon.Metrics()[counter]; counted != 4 {
		t.Errorf("%s is %v", counter, counted)
	}
}
