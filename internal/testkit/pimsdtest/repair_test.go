package pimsdtest_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// damageRecord spoils the stored record of an account, as a failing disk may.
func damageRecord(t *testing.T, d *pimsdtest.Daemon, account string) {
	t.Helper()
	db, err := sql.Open("sqlite", database(d))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE device SET body = x'7b00' WHERE account = ?", account); err != nil {
		t.Fatal(err)
	}
}

// A damaged record is found, shown, explained and repaired over REST. Every answer is one of the contract.
func TestRepairingADamagedRecordOverREST(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	d.Enroll("alice", aPIN)
	bob, files := d.Enroll("bob", aPIN), newDeviceFiles(t)
	admin := d.BackendKey("", authn.ScopeAdmin)
	file := files.of(d, "bob")
	const path, octets = "/v1/accounts/bob", "Content-Type: application/octet-stream"
	change := func(action string) pimsdtest.Answer {
		return d.Admin(admin, http.MethodPost, path, fmt.Sprintf(`{"action":%q}`, action))
	}
	importDevice := func() pimsdtest.Answer {
		return d.Admin(admin, http.MethodPut, path+"/device", file, octets)
	}
	if got := change("disable"); got.Status != http.StatusOK {
		t.Fatalf("disable: %d %s", got.Status, got.Body)
	}
	damageRecord(t, d, "bob")

	for _, need := range []string{"enrollment", "unlock", "doubt", "sms", "repair"} {
		page := resultOf[accountsPage](t, d.Admin(admin, http.MethodGet, "/v1/accounts?needs="+need, ""))
		if at := slices.Index(page.names(), "bob"); at < 0 || !slices.Equal(page.Accounts[at].Needs, []string{"repair"}) || !page.Accounts[at].Disabled {
			t.Errorf("in need of %s are %+v", need, page.Accounts)
		}
		if need == "repair" && len(page.Accounts) != 1 {
			t.Errorf("to be repaired are %v", page.names())
		}
	}
	shown := resultOf[struct {
		State, IsAccountBlocked string
		Unreadable, Disabled    bool
	}](t, d.Admin(admin, http.MethodGet, path, ""))
	if !shown.Unreadable || !shown.Disabled || shown.State != "unreadable" || shown.IsAccountBlocked != "Unknown" {
		t.Errorf("it is shown as %+v", shown)
	}
	for what, got := range map[string]pimsdtest.Answer{
		"unlock": change("unlock"), "doubt": change("doubt"), "an import": importDevice(), "an OTP": bob.OTP(aPIN),
		"the account": d.Call(bob.Key, http.MethodGet, pimsdtest.PathAccount, ""),
	} {
		if reason := got.Header.Get("X-Pims-Reason"); got.Status != 500 || got.Code != 2000 || reason != "record_unreadable" ||
			got.Header.Get("X-Pims-Advice") != "operator" {
			t.Errorf("%s: %d %s, and the reason is %q", what, got.Status, got.Body, reason)
		}
	}
	for _, action := range []string{"enable", "disable"} { // what is stored next to the record needs none of it
		if got := change(action); got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", action, got.Status, got.Body)
		}
	}
	enrollment := d.Call(d.Key("bob", authn.ScopeEnroll), http.MethodPost, pimsdtest.PathEnrollment+"?replace=true",
		`{"action":"enroll","pinCode":"1234","smsCode":"1"}`)
	if reason := enrollment.Header.Get("X-Pims-Reason"); reason != "account_disabled" {
		t.Errorf("an enrollment by the caller: %d %s", enrollment.Status, enrollment.Body)
	}

	if got := change("forget"); got.Status != http.StatusOK {
		t.Fatalf("forget: %d %s", got.Status, got.Body)
	}
	if got := importDevice(); got.Status != http.StatusOK {
		t.Fatalf("an import afterwards: %d %s", got.Status, got.Body)
	}
	if got := bob.OTP(files.vector.PIN); got.Header.Get("X-Pims-Reason") != "account_disabled" {
		t.Errorf("an OTP of an account that was disabled before the damage: %d %s", got.Status, got.Body)
	}
	if got := change("enable"); got.Status != http.StatusOK {
		t.Errorf("enable: %d %s", got.Status, got.Body)
	}
	if got := bob.OTP(files.vector.PIN); got.OTP == "" {
		t.Errorf("an OTP afterwards: %d %s", got.Status, got.Body)
	}
	if page := resultOf[accountsPage](t, d.Admin(admin, http.MethodGet, "/v1/accounts?needs=repair", "")); len(page.Accounts) != 0 {
		t.Errorf("still to be repaired are %v", page.names())
	}
}
