package api_test

import (
	"errors"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

const needsAuthentication = "Need Basic Authentication (to get CVS token)"

// A credential that is not good is answered with the same bytes, but for the request's id, whatever is wrong with it.
func TestBadCredentials(t *testing.T) {
	b := newBench(t)
	for name, header := range map[string]string{
		"none":           "Authorization:",
		"unknown":        "Authorization: Bearer pims_unknown",
		"another scheme": "Authorization: Basic " + aToken,
		"no scheme":      "Authorization: " + aToken,
		"twice":          "+Authorization: Bearer " + aToken,
		"two in one":     "Authorization: Bearer " + aToken + ", Bearer " + aToken,
	} {
		got := b.send(t, request{header: header, body: aBody})
		got.is(t, 401, 2301, needsAuthentication)
		if how := got.header.Values("WWW-Authenticate"); len(how) != 1 || how[0] != `Bearer realm="pimsd"` {
			t.Errorf("%s: WWW-Authenticate is %q", name, how)
		}
		if e := b.journal.last(t); e.Caller != "" || e.Account != "" {
			t.Errorf("%s: the event names %q, %q", name, e.Caller, e.Account)
		}
	}
	if len(b.domain.asked) > 0 {
		t.Error("the domain was asked")
	}
}

func TestForWhichAccount(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct {
		header  string
		account string // empty: refused
		status  int
		code    int
		label   string
	}{
		"bound":                     {"", "alice", 200, 0, ""},
		"bound, agrees":             {"X-Pims-Account: alice", "alice", 200, 0, ""},
		"bound, another":            {"X-Pims-Account: bob", "", 403, 2301, needsAuthentication},
		"bound, twice":              {"X-Pims-Account: alice\n+X-Pims-Account: alice", "", 400, 2102, "Invalid X-Pims-Account parameter"},
		"backend, none":             {"Authorization: Bearer " + fleet, "", 400, 2101, "Missing X-Pims-Account parameter"},
		"backend, malformed":        {"Authorization: Bearer " + fleet + "\nX-Pims-Account: \u00e9", "", 400, 2102, "Invalid X-Pims-Account parameter"},
		"backend, within":           {"Authorization: Bearer " + fleet + "\nX-Pims-Account: fleet-7", "fleet-7", 200, 0, ""},
		"backend, without":          {"Authorization: Bearer " + fleet + "\nX-Pims-Account: alice", "", 403, 2301, needsAuthentication},
		"without the scope":         {"Authorization: Bearer " + noScope, "", 403, 2301, needsAuthentication},
		"without scope and account": {"Authorization: Bearer " + noScope + "\nX-Pims-Account: bob", "", 403, 2301, needsAuthentication},
	} {
		b.domain.asked = nil
		got := b.send(t, request{header: tt.header, body: aBody})
		e := b.journal.last(t)
		if e.Caller == "" || e.Account != tt.account {
			t.Errorf("%s: the event names %q, %q", name, e.Caller, e.Account)
		}
		if tt.account == "" {
			got.is(t, tt.status, tt.code, tt.label)
			if len(b.domain.asked) > 0 {
				t.Errorf("%s: the domain was asked", name)
			}
			continue
		}
		if got.status != 200 || len(b.domain.asked) != 1 || b.domain.asked[0].Account != otp.Account(tt.account) {
			t.Errorf("%s: %d %s, the domain was asked %+v", name, got.status, got.body, b.domain.asked)
		}
	}
}

// What keeps authn from finding out is our fault, not the caller's.
func TestAuthenticationThatFails(t *testing.T) {
	b := newBench(t)
	b.callers.err = errors.New("the disk is gone")
	got := b.send(t, request{body: aBody})
	got.is(t, 500, 2000, "Unknown error")
	if e := b.journal.last(t); !errors.Is(e.Err, b.callers.err) {
		t.Errorf("the event says %v", e.Err)
	}
}
