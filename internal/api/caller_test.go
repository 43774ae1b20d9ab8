package api_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const needsAuthentication = "Need Basic Authentication (to get CVS token)"

// A credential that is not valid is answered with the same bytes, but for the request's id, whatever is wrong with it. A missing one
// differs in the challenge alone.
func TestBadCredentials(t *testing.T) {
	b := newBench(t)
	b.callers.unknown = fmt.Errorf("a detail: %w", aRefusal(t))
	for name, tc := range map[string]struct {
		header string
		reason authn.Reason
	}{
		"none":           {"Authorization:", authn.ReasonMissing},
		"unknown":        {"Authorization: Bearer pims_unknown", authn.ReasonMalformed},
		"another scheme": {"Authorization: Basic " + aToken, authn.ReasonMalformed},
		"no scheme":      {"Authorization: " + aToken, authn.ReasonMalformed},
		"twice":          {"+Authorization: Bearer " + aToken, authn.ReasonMalformed},
		"two in one":     {"Authorization: Bearer " + aToken + ", Bearer " + aToken, authn.ReasonMalformed},
	} {
		got := b.send(t, request{header: tc.header, body: aBody})
		got.is(t, 401, 2301, needsAuthentication)
		want := `Bearer realm="pimsd", error="invalid_token"`
		if tc.reason == authn.ReasonMissing {
			want = `Bearer realm="pimsd"`
		}
		if how := got.header.Values("WWW-Authenticate"); len(how) != 1 || how[0] != want {
			t.Errorf("%s: WWW-Authenticate is %q", name, how)
		}
		if e := b.journal.last(t); e.Caller != "" || e.Account != "" || e.Denied != tc.reason {
			t.Errorf("%s: the event names %q, %q, and the reason %q, want %q", name, e.Caller, e.Account, e.Denied, tc.reason)
		}
	}
	if len(b.domain.asked) > 0 {
		t.Error("the domain was asked")
	}
}

// aRefusal is an error of an authenticator.
func aRefusal(t *testing.T) error {
	t.Helper()
	_, err := authn.NewKeys(nil, nil).Authenticate(t.Context(), secret.NewText("pims_unknown"))
	return err
}

func TestForWhichAccount(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct {
		header  string
		account string // that the event names
		status  int
		code    int
		label   string
	}{
		"bound":                     {"", "alice", 200, 0, ""},
		"bound, agrees":             {"X-Pims-Account: alice", "alice", 200, 0, ""},
		"bound, another":            {"X-Pims-Account: bob", "bob", 403, 2301, needsAuthentication},
		"bound, twice":              {"X-Pims-Account: alice\n+X-Pims-Account: alice", "", 400, 2102, "Invalid X-Pims-Account parameter"},
		"backend, none":             {"Authorization: Bearer " + fleet, "", 400, 2101, "Missing X-Pims-Account parameter"},
		"backend, malformed":        {"Authorization: Bearer " + fleet + "\nX-Pims-Account: \u00e9", "", 400, 2102, "Invalid X-Pims-Account parameter"},
		"backend, within":           {"Authorization: Bearer " + fleet + "\nX-Pims-Account: fleet-7", "fleet-7", 200, 0, ""},
		"backend, without":          {"Authorization: Bearer " + fleet + "\nX-Pims-Account: alice", "alice", 403, 2301, needsAuthentication},
		"without the scope":         {"Authorization: Bearer " + noScope, "alice", 403, 2301, needsAuthentication},
		"without scope and account": {"Authorization: Bearer " + noScope + "\nX-Pims-Account: bob", "bob", 403, 2301, needsAuthentication},
	} {
		b.domain.asked = nil
		got := b.send(t, request{header: tt.header, body: aBody})
		e := b.journal.last(t)
		if e.Caller == "" || e.Account != tt.account || (e.Denied != "") != (tt.status == 403) {
			t.Errorf("%s: the event names %q, %q, and the reason %q", name, e.Caller, e.Account, e.Denied)
		}
		if tt.status != 200 {
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
