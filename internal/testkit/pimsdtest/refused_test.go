package pimsdtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// wantAudited waits for the entry of the audit log that has the outcome of a refused call, and names the account. It is the last one
// of the call, after those of its rounds. That of a call that ends before inWebo is asked is written in the background.
func wantAudited(t *testing.T, d *pimsdtest.Daemon, got pimsdtest.Answer, account string) {
	t.Helper()
	reason, transaction := got.Header.Get("X-Pims-Reason"), got.Header.Get("X-Request-Id")
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		var outcomes []string
		for _, line := range d.Audit() {
			if line.Transaction == transaction && line.Stage == otp.StageOutcome {
				outcomes = append(outcomes, string(line.Account)+" "+line.Outcome)
			}
		}
		if last := len(outcomes) - 1; last >= 0 {
			if want := account + " " + reason; slices.Index(outcomes, want) != last {
				t.Errorf("the audit log has %q, want %q as the last", outcomes, want)
			}
			return
		}
	}
	t.Errorf("the audit log has no outcome of %d %s (%s)", got.Status, got.Body, reason)
}

// Whatever a known caller is refused with, the audit log and the log of requests name the account that it asked for.
func TestEveryRefusalNamesTheAccount(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.Quota.OTPsPerDay = 1 })
	for _, name := range []string{"fleet-1", "fleet-used", "fleet-disabled", "fleet-damaged"} {
		d.Enroll(name, aPIN)
	}
	files := newDeviceFiles(t)
	file := files.of(d, "fleet-imported")
	backend := d.BackendKey("fleet-", authn.ScopeOTP, authn.ScopeEnroll)
	admin, bound := d.BackendKey("fleet-", authn.ScopeAdmin, authn.ScopeOTP), d.Key("fleet-1")
	ask := func(account string) pimsdtest.Answer {
		return d.Ask(backend, pimsdtest.WithPIN(aPIN), "X-Pims-Account: "+account)
	}
	change := func(account, action string) pimsdtest.Answer {
		return d.Admin(admin, http.MethodPost, "/v1/accounts/"+account, fmt.Sprintf(`{"action":%q}`, action))
	}
	put := func(account, file string) pimsdtest.Answer {
		return d.Admin(admin, http.MethodPut, "/v1/accounts/"+account+"/device", file, "Content-Type: application/octet-stream")
	}
	for what, got := range map[string]pimsdtest.Answer{
		"an OTP": ask("fleet-used"), "an import": put("fleet-imported", file), "disable": change("fleet-disabled", "disable"),
	} {
		if got.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	damageRecord(t, d, "fleet-damaged")
	enroll := func(account string) pimsdtest.Answer {
		return d.Call(backend, http.MethodPost, pimsdtest.PathEnrollment, `{"action":"enroll","pinCode":"1234","smsCode":"1"}`,
			"X-Pims-Account: "+account)
	}
	for _, tc := range []struct {
		reason, account string
		got             pimsdtest.Answer
	}{
		{"account_forbidden", "other", ask("other")},
		{"account_forbidden", "fleet-2", d.Ask(bound, pimsdtest.WithPIN(aPIN), "X-Pims-Account: fleet-2")},
		{"account_forbidden", "other", change("other", "unlock")},
		{"account_forbidden", "another", d.Admin(admin, http.MethodPost, "/v1/keys", `{"kind":"account","account":"another","scope":"otp"}`)},
		{"insufficient_scope", "fleet-1", d.Call(bound, http.MethodPost, pimsdtest.PathAccount, `{"action":"unlock"}`)},
		{"insufficient_scope", "fleet-3", d.Call(backend, http.MethodPost, pimsdtest.PathAccount, `{}`, "X-Pims-Account: fleet-3")},
		{"insufficient_scope", "fleet-3", d.Admin(backend, http.MethodGet, "/v1/accounts/fleet-3", "")},
		{"account_disabled", "fleet-disabled", ask("fleet-disabled")},
		{"account_disabled", "fleet-disabled", enroll("fleet-disabled")},
		{"account_disabled", "fleet-disabled", change("fleet-disabled", "unlock")},
		{"account_not_disabled", "fleet-1", change("fleet-1", "forget")},
		{"device_taken", "fleet-other", put("fleet-other", file)},
		{"already_enrolled", "fleet-1", put("fleet-1", file)},
		{"already_enrolled", "fleet-1", enroll("fleet-1")},
		{"device_file_invalid", "fleet-1", put("fleet-1", "x")},
		{"not_enrolled", "fleet-none", ask("fleet-none")},
		{"not_enrolled", "fleet-none", change("fleet-none", "disable")},
		{"quota_used_up", "fleet-used", ask("fleet-used")},
		{"record_unreadable", "fleet-damaged", ask("fleet-damaged")},
		{"record_unreadable", "fleet-damaged", change("fleet-damaged", "unlock")},
		{"parameter_invalid", "fleet-1", d.Ask(bound, pimsdtest.WithPIN("1"))},
		{"parameter_missing", "fleet-1", d.Ask(bound, `{"action":"withPIN"}`)},
		{"body_invalid", "fleet-1", d.Ask(bound, `{`)},
		{"content_type_invalid", "fleet-1", d.Ask(bound, `{}`, "Content-Type: text/plain")},
		{"no_such_key", "", d.Admin(admin, http.MethodDelete, "/v1/keys/nosuchkey234", "")},
	} {
		if reason := tc.got.Header.Get("X-Pims-Reason"); reason != tc.reason {
			t.Errorf("%d %s has the reason %q, want %q", tc.got.Status, tc.got.Body, reason, tc.reason)
		}
		wantAudited(t, d, tc.got, tc.account)
		id := tc.got.Header.Get("X-Request-Id")
		for line := range strings.Lines(d.Log()) {
			if strings.Contains(line, id) && tc.account != "" && !strings.Contains(line, fmt.Sprintf(`"account":%q`, tc.account)) {
				t.Errorf("the log does not name %q: %s", tc.account, line)
			}
		}
	}
}
