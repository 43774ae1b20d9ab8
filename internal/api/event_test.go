package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

func TestTheEventOfAnOTP(t *testing.T) {
	b := newBench(t)
	b.domain.issue = func(context.Context) (otp.Issued, error) {
		return otp.Issued{OTP: secret.NewText(anOTP), Step: 41, Rounds: 2, Blocked: true}, nil
	}
	got := b.send(t, request{body: aBody})
	e := b.journal.last(t)
	id := got.header.Get("X-Request-Id")
	if e.Remote == "" || e.Duration <= 0 {
		t.Errorf("the event lacks its remote address or its duration: %+v", e)
	}
	e.Remote, e.Duration = "", 0
	want := api.Event{
		Transaction: id, Method: "POST", Route: api.RouteOTP, Caller: "key:alice", Account: "alice", Status: 200,
		Step: 41, Rounds: 2, Blocked: true,
	}
	if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) {
		t.Errorf("the event is\n%+v, want\n%+v", e, want)
	}
	ask := b.domain.asked[0]
	if ask.QueuedAt = (time.Time{}); ask != (otp.Request{Account: "alice", Caller: "key:alice", Transaction: id}) {
		t.Errorf("the domain was asked %+v", ask)
	}
	if again := b.send(t, request{body: aBody}).header.Get("X-Request-Id"); again == id {
		t.Error("two requests have one id")
	}
}

// What a stranger writes stays out of the event until it is checked, and so do the secrets of the request.
func TestNothingOfAStrangerAndNoSecretIsInAnEvent(t *testing.T) {
	b := newBench(t)
	const canary = "c4n4ry"
	refusal := fmt.Errorf("%w: a detail for the log", otp.ErrPINRefused)
	for name, tt := range map[string]struct {
		request request
		route   string
		issue   error
	}{
		"path":             {request{path: "/" + canary}, api.RouteNone, nil},
		"path of a call":   {request{path: api.RouteOTP + "/" + canary}, api.RouteNone, nil},
		"query":            {request{path: api.RouteOTP + "?" + canary, body: aBody}, api.RouteOTP, refusal},
		"method":           {request{method: strings.ToUpper(canary)}, api.RouteOTP, nil},
		"credential":       {request{header: "Authorization: Bearer " + canary}, api.RouteOTP, nil},
		"account":          {request{header: "Authorization: Bearer x\nX-Pims-Account: " + canary}, api.RouteOTP, nil},
		"account, bad":     {request{header: "X-Pims-Account: \u00e9" + canary}, api.RouteOTP, nil},
		"account, backend": {request{header: "Authorization: Bearer " + fleet + "\nX-Pims-Account: \u00e9" + canary}, api.RouteOTP, nil},
		"content type":     {request{header: "Content-Type: " + canary}, api.RouteOTP, nil},
		"coding":           {request{header: "Content-Encoding: " + canary}, api.RouteOTP, nil},
		"user agent":       {request{header: "User-Agent: " + canary, body: aBody}, api.RouteOTP, refusal},
		"not JSON":         {request{body: canary}, api.RouteOTP, nil},
		"repeated name":    {request{body: `{"c4n4ry":1,"c4n4ry":1}`}, api.RouteOTP, nil},
		"unknown name":     {request{body: `{"c4n4ry":1}`}, api.RouteOTP, nil},
		"action":           {request{body: `{"action":"c4n4ry","pinCode":"0987"}`}, api.RouteOTP, nil},
		"pinCode":          {request{body: `{"action":"withPIN","pinCode":"c4n4ry"}`}, api.RouteOTP, nil},
		"pinCode, typed":   {request{body: `{"action":"withPIN","pinCode":["c4n4ry"]}`}, api.RouteOTP, nil},
		"an OTP":           {request{body: aBody}, api.RouteOTP, nil},
		"a refused PIN":    {request{body: aBody}, api.RouteOTP, refusal},
	} {
		b.domain.issue = func(context.Context) (otp.Issued, error) {
			return otp.Issued{OTP: secret.NewText(anOTP)}, tt.issue
		}
		b.sendUnchecked(t, tt.request, false)
		e := b.journal.last(t)
		answered := strings.ToLower(fmt.Sprintf("%+v", e))
		for _, hidden := range []string{canary, aToken, fleet, aPIN, anOTP} {
			if strings.Contains(answered, hidden) {
				t.Errorf("%s: %q is in the event %s", name, hidden, answered)
			}
		}
		if e.Route != tt.route {
			t.Errorf("%s: the route is %q", name, e.Route)
		}
	}
}

// The names that a call knows are no strangers.
func TestTheEventNamesTheFieldAtFault(t *testing.T) {
	b := newBench(t)
	b.send(t, request{body: `{"action":"withPIN","pinCode":"1"}`})
	if e := b.journal.last(t); e.Err == nil || e.Err.Error() != "a field is invalid: pinCode" {
		t.Errorf("the event says %v", e.Err)
	}
}

func TestAPanicIsAnAnswerAndAnEvent(t *testing.T) {
	b := newBench(t)
	var none []int
	for name, tt := range map[string]struct {
		panics func()
		says   string
	}{
		"of the runtime":    {func() { none[len(b.domain.asked)]++ }, "panic: runtime error: index out of range ["},
		"with a text":       {func() { panic("the PIN 0987") }, "panic with a value of type string"},
		"with an error":     {func() { panic(errors.New("the PIN 0987")) }, "panic with a value of type *errors.errorString"},
		"with a cause":      {func() { panic(otp.ErrPINRefused) }, "panic with a value of type *otp.cause"},
		"with nil":          {func() { panic(nil) }, "panic: panic called with nil argument"}, //nolint:govet // that is the test
		"deep in something": {func() { func() { defer func() { panic(1) }(); panic(2) }() }, "panic with a value of type int"},
	} {
		b.domain.issue = func(context.Context) (otp.Issued, error) {
			tt.panics()
			return otp.Issued{}, nil
		}
		b.send(t, request{body: aBody}).is(t, 500, 2000, "Unknown error")
		e := b.journal.last(t)
		if e.Err == nil || !strings.HasPrefix(e.Err.Error(), tt.says) || strings.Contains(e.Err.Error(), aPIN) {
			t.Errorf("%s: the event says %v, want %q", name, e.Err, tt.says)
		}
		if !strings.Contains(string(e.Stack), "event_test.go") || e.Caller != "key:alice" || e.Code != 2000 {
			t.Errorf("%s: the event is %+v", name, e)
		}
	}
	b.domain.issue = func(context.Context) (otp.Issued, error) { return otp.Issued{OTP: secret.NewText("a")}, nil }
	if got := b.send(t, request{body: aBody}); got.status != 200 {
		t.Errorf("after the panics: %d %s", got.status, got.body)
	}
}
