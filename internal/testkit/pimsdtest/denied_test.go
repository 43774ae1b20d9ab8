package pimsdtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// uniform returns an answer without what differs between any two: its header in order, and its body.
func uniform(got pimsdtest.Answer) string {
	header := got.Header.Clone()
	header.Del("Date")
	header.Del("X-Request-Id")
	return fmt.Sprint(got.Status, header, strings.Replace(got.Body, got.Transaction, "", 1))
}

// The log has a word for why a caller was refused, in a field of its own; the answer to a credential that is not good has
// nothing of it.
func TestTheLogSaysWhyACallerIsRefused(t *testing.T) {
	t.Parallel()
	tokens := newIssuer(t)
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.JWT.Issuers, s.Config.JWT.Leeway = append(s.Config.JWT.Issuers, tokens.Issuer), 0
	})
	key, backend := d.Key("alice"), d.BackendKey("fleet-")
	now, grant := time.Now(), authn.Grant{Account: "alice"}
	stored := func(key authn.Key, text string) string {
		d.StoreKey(key)
		return text
	}
	made := func(created, expires time.Time) (authn.Key, string) {
		key, text, err := authn.NewKey(grant, created, expires)
		if err != nil {
			t.Fatal(err)
		}
		return key, text.Reveal()
	}
	revoked, revokedText := made(now, time.Time{})
	revoked.RevokedAt = now
	_, unknown := made(now, time.Time{})
	token, oneAnswer := tokens.token("alice", time.Hour), ""
	for _, tc := range []struct {
		what, credential string
		header           []string
		status           int
		want             authn.Reason
	}{
		{"no credential", "", nil, 401, authn.ReasonMissing},
		{"a malformed key", "pims_x", nil, 401, authn.ReasonMalformed},
		{"an unknown key", unknown, nil, 401, authn.ReasonUnknown},
		{"another secret", key[:len(key)-8] + "aaaaaaaa", nil, 401, authn.ReasonWrongSecret},
		{"a revoked key", stored(revoked, revokedText), nil, 401, authn.ReasonRevoked},
		{"an expired key", stored(made(now.Add(-time.Hour), now.Add(-time.Minute))), nil, 401, authn.ReasonExpired},
		{"an expired token", tokens.token("alice", -time.Minute), nil, 401, authn.ReasonExpired},
		{"another signature", token[:len(token)-8] + "AAAAAAAA", nil, 401, authn.ReasonBadSignature},
		{"another account", key, []string{"X-Pims-Account: bob"}, 403, authn.ReasonNotEntitled},
		{"another prefix", backend, []string{"X-Pims-Account: alice"}, 403, authn.ReasonNotEntitled},
		{"another scope", d.Key("alice", authn.ScopeUnlock), nil, 403, authn.ReasonScope},
		{"no device", key, nil, 404, ""},
	} {
		got := d.Ask(tc.credential, pimsdtest.WithPIN("1234"), tc.header...)
		if shown := uniform(got); tc.status == 401 && tc.want != authn.ReasonMissing {
			if oneAnswer == "" {
				oneAnswer = shown
			}
			if shown != oneAnswer {
				t.Errorf("%s is told from others:\n%s\n%s", tc.what, shown, oneAnswer)
			}
		}
		lines := requestLines(t, d)
		l := lines[len(lines)-1]
		if got.Status != tc.status || l.Denied != string(tc.want) || l.Transaction != got.Header.Get("X-Request-Id") {
			t.Errorf("%s: %d %s, and the log says %q because %s, want %q", tc.what, got.Status, got.Body, l.Denied, l.Cause, tc.want)
		}
		if tc.status == 401 && (got.Code != 2301 || tc.want != "" && strings.Contains(got.Body, string(tc.want))) {
			t.Errorf("%s: the answer is %s", tc.what, got.Body)
		}
	}
}
