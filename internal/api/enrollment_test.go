package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
)

// A good request to each of the calls beside the main one.
var (
	aCheck       = request{path: api.RouteSMSCode, header: bearing(noScope), body: `{"action":"enrollment","smsCode":"123456"}`}
	anEnrollment = request{path: api.RouteEnrollment, header: bearing(noScope), body: `{"action":"enroll","pinCode":"0987","smsCode":"123456"}`}
	aStatus      = request{method: "GET", path: api.RouteAccount, header: "Content-Type:"}
	anUnlock     = request{path: api.RouteAccount, header: bearing(unlocks), body: `{"action":"unlock"}`}
)

func bearing(token string) string { return "Authorization: Bearer " + token }

// Each call is for those who have its scope, and for their account alone; who may is in the audit log.
func TestWhoMayCallWhat(t *testing.T) {
	b := newBench(t)
	b.domain.status = otp.Status{State: otp.StateNotEnrolled, Blocking: otp.BlockingUnknown}
	for _, good := range []request{aCheck, anEnrollment, aStatus, anUnlock} {
		for _, token := range []string{aToken, noScope, unlocks, "nobody", fleet} {
			b.domain.asked = nil
			r := good
			if r.header = bearing(token); r.method == "GET" {
				r.header += "\nContent-Type:"
			}
			got := b.send(t, r)
			e := b.journal.last(t)
			switch mine := strings.Contains(good.header, token) || token == aToken && r.method == "GET"; {
			case token == "nobody":
				got.is(t, 401, 2301, needsAuthentication)
			case token == fleet && r.method == "GET":
				got.is(t, 400, 2101, "Missing X-Pims-Account parameter")
			case !mine:
				got.is(t, 403, 2301, needsAuthentication)
			default:
				if got.status != 200 || len(b.domain.asked) != 1 || b.domain.asked[0].Account != "alice" {
					t.Errorf("%s %s as %s: %d %s, asked %v", r.method, r.path, token, got.status, got.body, b.domain.asked)
				}
				if ask := b.domain.asked[0]; r.method != "GET" && (ask.Caller != e.Caller || ask.Transaction != e.Transaction) {
					t.Errorf("%s: the domain was asked by %q in %q", r.path, ask.Caller, ask.Transaction)
				}
				continue
			}
			if len(b.domain.asked) > 0 {
				t.Errorf("%s %s as %s: the domain was asked", r.method, r.path, token)
			}
		}
	}
}

func TestCheckingAnSMSCode(t *testing.T) {
	b := newBench(t)
	for hasPIN, want := range map[bool]string{false: "NotEnrolled", true: "AlreadyEnrolled"} {
		b.domain.hasPIN = hasPIN
		got := b.send(t, aCheck)
		if body := fmt.Sprintf(`{"transactionId":%q,"status":"SUCCEEDED","result":{"status":%q}}`, got.transaction(), want); got.body != body {
			t.Errorf("%s", got.body)
		}
	}
	if strings.Join(b.domain.codes, " ") != "123456 123456" {
		t.Errorf("asked with %q", b.domain.codes)
	}
}

func TestEnrolling(t *testing.T) {
	b := newBench(t)
	b.domain.used = otp.Activations{Tried: 15, FewLeft: true}
	for query, replace := range map[string]bool{"": false, "?replace=true": true, "?replace=false": false, "?other=1": false} {
		r := anEnrollment
		r.path += query
		got := b.sendUnchecked(t, r, false)
		if body := fmt.Sprintf(`{"transactionId":%q,"status":"SUCCEEDED","result":{}}`, got.transaction()); got.body != body {
			t.Errorf("%s", got.body)
		}
		e := b.domain.enrolling
		if e.Replace != replace || e.Force || e.PIN.Reveal() != aPIN || e.SMSCode.Reveal() != "123456" {
			t.Errorf("%q: enrolled with replace %v, force %v", query, e.Replace, e.Force)
		}
		if event := b.journal.last(t); event.Activations != b.domain.used || event.Route != api.RouteEnrollment {
			t.Errorf("the event is %+v", event)
		}
	}
	b.domain.err = fmt.Errorf("a detail: %w", otp.ErrActivations)
	b.send(t, anEnrollment).is(t, 409, 2348, "StrongID document quoata reached")
	if event := b.journal.last(t); event.Activations != b.domain.used || !errors.Is(event.Err, otp.ErrActivations) {
		t.Errorf("the event is %+v", event)
	}
}

func TestBadInputOfTheOtherCalls(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		of                 request
		query, body, label string
	}{
		{aCheck, "", `{"smsCode":"123456"}`, "Missing action parameter"},
		{aCheck, "", `{"action":"enrollment"}`, "Missing smsCode parameter"},
		{aCheck, "", `{"action":"enrollment","smsCode":""}`, "Missing smsCode parameter"},
		{aCheck, "", `{"action":"enroll","smsCode":"123456"}`, "Invalid action parameter"},
		{aCheck, "", `{"action":"enrollment","smsCode":123456}`, "Invalid smsCode parameter"},
		{aCheck, "", `{"action":"enrollment","smsCode":"12\n34"}`, "Invalid smsCode parameter"},
		{aCheck, "", `{"action":"enrollment","smsCode":"` + strings.Repeat("1", 65) + `"}`, "Invalid smsCode parameter"},
		{aCheck, "", `{"action":"enrollment","smsCode":"1","pinCode":"0987"}`, "Invalid pinCode parameter"},
		{anEnrollment, "", `{"action":"enroll","smsCode":"123456"}`, "Missing pinCode parameter"},
		{anEnrollment, "", `{"action":"enroll","pinCode":"0987"}`, "Missing smsCode parameter"},
		{anEnrollment, "", `{"action":"enrollment","pinCode":"0987","smsCode":"123456"}`, "Invalid action parameter"},
		{anEnrollment, "", `{"action":"enroll","pinCode":"098","smsCode":"é"}`, "Invalid pinCode parameter"},
		{anEnrollment, "", `{"action":"enroll","pinCode":"0987","smsCode":"é"}`, "Invalid smsCode parameter"},
		{anEnrollment, "", `{"action":"enroll","pinCode":"0987","smsCode":"1","force":true}`, "Invalid force parameter"},
		{anEnrollment, "?replace=yes", anEnrollment.body, "Invalid replace parameter"},
		{anEnrollment, "?replace=true&replace=true", anEnrollment.body, "Invalid replace parameter"},
		{anEnrollment, "?replace=yes", `{}`, "Missing action parameter"},
		{anUnlock, "", `{}`, "Missing action parameter"},
		{anUnlock, "", `{"action":"forget"}`, "Invalid action parameter"},
		{anUnlock, "", ``, "Invalid body parameter"},
	} {
		r := tt.of
		r.path, r.body = r.path+tt.query, tt.body
		code := 2102
		if strings.HasPrefix(tt.label, "Missing") {
			code = 2101
		}
		b.sendUnchecked(t, r, tt.query == "").is(t, 400, code, tt.label)
	}
	if len(b.domain.asked) > 0 {
		t.Errorf("the domain was asked %d times", len(b.domain.asked))
	}
}

func TestHowAnAccountStands(t *testing.T) {
	b := newBench(t)
	left, at := 3, time.Date(2026, 11, 23, 9, 30, 15, 999, time.FixedZone("", 3600))
	for name, tt := range map[string]struct {
		status otp.Status
		want   string
	}{
		"nothing known": {
			otp.Status{Account: "alice", State: otp.StateNotEnrolled, Blocking: otp.BlockingUnknown},
			`{"isDeviceActivated":false,"isAccountBlocked":"Unknown","state":"not enrolled","disabled":false,"inDoubt":false,"wrongPins":0,` +
				`"pinLocked":false,"smsActivations":0}`,
		},
		"everything known": {
			otp.Status{
				Account: "alice", State: otp.StateLeased, Activated: true, Blocking: otp.PINBlocked, InDoubt: true, DoubtSince: at, Service: "PSA",
				Services: []string{"PSA"}, DeviceName: "pimsd", EnrolledAt: at, LastOTPAt: at, OTPsLeft: &left, WrongPINs: 2, PINLocked: true,
				Activations: 15, Step: 7,
			},
			`{"isDeviceActivated":true,"isAccountBlocked":"PinBlocked","state":"held","disabled":false,"inDoubt":true,"doubtSince":"2026-11-23T08:30:15Z",` +
				`"service":"PSA","deviceName":"pimsd","enrolledAt":"2026-11-23T08:30:15Z","lastOtpAt":"2026-11-23T08:30:15Z","otpsLeft":3,` +
				`"wrongPins":2,"pinLocked":true,"smsActivations":15}`,
		},
	} {
		b.domain.status = tt.status
		got := b.send(t, aStatus)
		if want := fmt.Sprintf(`{"transactionId":%q,"status":"SUCCEEDED","result":%s}`, got.transaction(), tt.want); got.body != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got.body, want)
		}
	}
}

// What the domain can answer to each of the calls is in the contract; b.send holds it against that.
func TestEveryCauseOfTheOtherCalls(t *testing.T) {
	b := newBench(t)
	fromStore := []error{otp.ErrStore, otp.ErrSealed, otp.ErrStopping}
	fromBusy := append([]error{&otp.RetryAfterError{Cause: otp.ErrBusy, For: time.Second}}, fromStore...)
	fromInwebo := append([]error{
		&otp.RetryAfterError{Cause: otp.ErrCircuitOpen, For: time.Second}, otp.ErrUnreachable, otp.ErrLate, otp.ErrNotInwebo, otp.ErrNotUnderstood, otp.ErrSMSCode, otp.ErrSMSCodeFormat, otp.ErrSyntax,
		otp.ErrPINRefused, otp.ErrVersion, otp.ErrBlocked, otp.ErrState, otp.ErrTooSlow, otp.ErrDeviceUnknown, otp.ErrNotActivated, otp.ErrNoService,
		otp.ErrPINReused, otp.ErrSynchroFailed, otp.ErrForbidden, otp.ErrPINFormat, otp.ErrTooManyDevices, otp.ErrRefused,
	}, fromBusy...)
	for _, tt := range []struct {
		request request
		causes  []error
	}{
		{aCheck, fromInwebo},
		{anEnrollment, append([]error{otp.ErrAlreadyEnrolled, otp.ErrActivations, otp.ErrNoSecret, otp.ErrNotStored, otp.ErrSuperseded}, fromInwebo...)},
		{aStatus, fromStore},
		{anUnlock, append([]error{otp.ErrNoDevice}, fromBusy...)},
	} {
		for _, cause := range tt.causes {
			b.domain.err = fmt.Errorf("%w: a detail for the log", cause)
			if got := b.send(t, tt.request); got.status < 400 || strings.Contains(got.body, "detail") {
				t.Errorf("%s: %v: %d %s", tt.request.path, cause, got.status, got.body)
			}
		}
	}
}
