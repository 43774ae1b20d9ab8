package api_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// recallBench is a bench that knows the caller of aToken from before, in the version 7 of the keys.
func recallBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.callers.recalls, b.callers.recalled = 7, aToken
	return b
}

// issueUnlessRecalled answers a call of a recalled caller that the keys have changed, and any other with an OTP.
func (b *bench) issueUnlessRecalled(context.Context) (otp.Issued, error) {
	if b.domain.asked[len(b.domain.asked)-1].KeysVersion != 0 {
		return otp.Issued{}, otp.ErrKeysChanged
	}
	return otp.Issued{OTP: secret.NewText(anOTP), Step: 7, Rounds: 1}, nil
}

// TestARecalledCallerIsNotLookedUp: the domain is asked for the version of the keys in which the caller is known, and no other way is
// taken to find out who that is.
func TestARecalledCallerIsNotLookedUp(t *testing.T) {
	b := recallBench(t)
	b.callers.err = errors.New("it was looked up")
	if got := b.send(t, request{body: aBody}); got.status != 200 {
		t.Errorf("the caller was answered %d %s", got.status, got.body)
	}
	if asked := b.domain.asked; len(asked) != 1 || asked[0].KeysVersion != 7 || asked[0].Caller != "key:alice" || asked[0].Account != "alice" {
		t.Errorf("the domain was asked %+v", asked)
	}
}

// TestKeysThatHaveChanged: a caller whose key may have been revoked is authenticated, and asks again or is refused. The second time
// nothing is compared, and the wait for the account goes on from where it began.
func TestKeysThatHaveChanged(t *testing.T) {
	for name, tc := range map[string]struct {
		found  error
		status int
		code   int
		label  string
		asked  int
		caller string
	}{
		"still good": {nil, 200, 0, "", 2, "key:alice"},
		"revoked":    {aRefusal(t), 401, 2301, needsAuthentication, 1, ""},
		"unknown":    {errors.New("the store does not answer"), 500, 2000, "Unknown error", 1, "key:alice"},
	} {
		b := recallBench(t)
		b.callers.err = tc.found
		b.domain.issue = b.issueUnlessRecalled
		if got := b.send(t, request{body: aBody}); tc.status != 200 {
			got.is(t, tc.status, tc.code, tc.label)
		} else if got.status != 200 {
			t.Errorf("%s: the caller was answered %d %s", name, got.status, got.body)
		}
		asked := b.domain.asked
		if len(asked) != tc.asked {
			t.Fatalf("%s: the domain was asked %d times, want %d", name, len(asked), tc.asked)
		}
		if last := asked[len(asked)-1]; last.QueuedAt.IsZero() || last.QueuedAt != asked[0].QueuedAt {
			t.Errorf("%s: the call waits since %v, and then since %v", name, asked[0].QueuedAt, last.QueuedAt)
		}
		if e := b.journal.last(t); e.Caller != tc.caller {
			t.Errorf("%s: the event names %q, want %q", name, e.Caller, tc.caller)
		}
	}
}

// TestWhatARecalledCallerIsRefused: before its lease, only a caller whose key is good is refused anything else than that it is not.
// After it the store has found that the key was good.
func TestWhatARecalledCallerIsRefused(t *testing.T) {
	busy := func(context.Context) (otp.Issued, error) { return otp.Issued{}, otp.ErrBusy }
	begun := func(context.Context) (otp.Issued, error) { return otp.Issued{}, &otp.Attempted{Err: otp.ErrPINRefused} }
	for name, tc := range map[string]struct {
		body    string
		issue   func(context.Context) (otp.Issued, error)
		found   error
		status  int
		code    int
		label   string
		unnamed bool
	}{
		"a bad body":                       {"x", nil, nil, 400, 2102, "Invalid body parameter", false},
		"a bad body, of a revoked key":     {"x", nil, aRefusal(t), 401, 2301, needsAuthentication, true},
		"a bad body, and the store fails":  {"x", nil, errors.New("no answer"), 400, 2102, "Invalid body parameter", false},
		"a busy device, of a revoked key":  {aBody, busy, aRefusal(t), 401, 2301, needsAuthentication, true},
		"after the lease, whatever is now": {aBody, begun, aRefusal(t), 403, 2308, "inwebo: access refused", false},
	} {
		b := recallBench(t)
		b.callers.err = tc.found
		if tc.issue != nil {
			b.domain.issue = tc.issue
		}
		b.send(t, request{body: tc.body}).is(t, tc.status, tc.code, tc.label)
		if e := b.journal.last(t); (e.Caller == "") != tc.unnamed || (e.Account == "") != tc.unnamed || (e.Denied != "") != tc.unnamed {
			t.Errorf("%s: the event names %q, %q, and the reason %q", name, e.Caller, e.Account, e.Denied)
		}
	}
}

// TestNoOtherCallRecalls: what reads or changes an account otherwise compares no version of the keys, and looks the caller up.
func TestNoOtherCallRecalls(t *testing.T) {
	for _, r := range []request{
		{method: "GET", path: api.RouteAccount},
		{path: api.RouteAccount, body: `{"action":"unlock"}`},
		{path: api.RouteSMSCode, body: `{"action":"enrollment","smsCode":"12345678"}`},
		{path: api.RouteEnrollment, body: `{"action":"enroll","pinCode":"1234","smsCode":"12345678"}`},
	} {
		b := recallBench(t)
		b.callers.err = aRefusal(t)
		b.send(t, r).is(t, 401, 2301, needsAuthentication)
		if len(b.domain.asked) > 0 {
			t.Errorf("%s %s: the domain was asked", r.method, r.path)
		}
	}
}

// TestAKeyThatIsGoodForOthers: a key that was changed is judged as it is now, whatever it was good for when it was accepted before.
func TestAKeyThatIsGoodForOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		token, account string
		status         int
		caller         string
		asked          []otp.Request // what of it counts: the account, and the version of the keys
	}{
		"the scope is gone":           {noScope, "", 403, "key:enroll", []otp.Request{{Account: "alice", KeysVersion: 7}}},
		"it is a backend's":           {fleet, "", 400, "key:fleet", []otp.Request{{Account: "alice", KeysVersion: 7}}},
		"its accounts are others":     {fleet, "alice", 403, "key:fleet", []otp.Request{{Account: "alice", KeysVersion: 7}}},
		"it was not good for another": {fleet, "fleet-1", 200, "key:fleet", []otp.Request{{Account: "fleet-1"}}},
	} {
		b := recallBench(t)
		b.callers.recalled = tc.token
		b.domain.issue = b.issueUnlessRecalled
		header := "Authorization: Bearer " + tc.token
		if tc.account != "" {
			header += "\nX-Pims-Account: " + tc.account
		}
		if got := b.send(t, request{header: header, body: aBody}); got.status != tc.status {
			t.Errorf("%s: the caller was answered %d %s, want %d", name, got.status, got.body, tc.status)
		}
		var asked []otp.Request
		for _, a := range b.domain.asked {
			asked = append(asked, otp.Request{Account: a.Account, KeysVersion: a.KeysVersion})
		}
		if !reflect.DeepEqual(asked, tc.asked) {
			t.Errorf("%s: the domain was asked %+v, want %+v", name, asked, tc.asked)
		}
		if e := b.journal.last(t); e.Caller != tc.caller {
			t.Errorf("%s: the event names %q, want %q", name, e.Caller, tc.caller)
		}
	}
}
