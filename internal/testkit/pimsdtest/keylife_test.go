package pimsdtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// keyUntil makes an administrator's key that expires at that moment.
func keyUntil(t *testing.T, d *pimsdtest.Daemon, expires time.Time) string {
	t.Helper()
	grant := authn.Grant{Backend: true, Scopes: authn.Scopes{authn.ScopeAdmin, authn.ScopeOTP}}
	key, text, err := authn.NewKey(grant, time.Now(), expires)
	if err != nil {
		t.Fatal(err)
	}
	d.StoreKey(key)
	return text.Reveal()
}

// A long poll reads nothing more of the audit log once its key is revoked or has expired.
func TestLongPollEndsWithItsKey(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	admin := d.BackendKey("", authn.ScopeAdmin)
	revoked, expiring := d.BackendKey("", authn.ScopeAdmin), keyUntil(t, d, time.Now().Add(2*time.Second))
	ends := make(chan pimsdtest.Answer)
	for _, key := range []string{revoked, expiring} {
		go func() { ends <- d.Admin(key, http.MethodGet, "/v1/audit?wait=1m&after=1000000", "") }()
	}
	for d.Metrics()["pimsd_requests_in_flight"] < 2 {
		time.Sleep(time.Millisecond)
	}
	if got := d.Admin(admin, http.MethodDelete, "/v1/keys/"+strings.Split(revoked, "_")[1], ""); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	for range 2 {
		if got := <-ends; got.Status != http.StatusUnauthorized || strings.Contains(got.Body, "lines") {
			t.Errorf("the poll ended with %d %s", got.Status, got.Body)
		}
	}
}

// A key that is made over REST expires no later than the one that makes it.
func TestKeyExpiresNoLaterThanItsCreators(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	last := time.Now().Add(time.Hour).Truncate(time.Second)
	fleeting, lasting := keyUntil(t, d, last), keyUntil(t, d, time.Time{})
	for _, tc := range []struct {
		what, creator, expiresIn string
		want                     func(expires time.Time) bool
	}{
		{"without an expiry", fleeting, "", last.Equal},
		{"of a longer life", fleeting, `,"expiresIn":"720h"`, last.Equal},
		{"of a shorter life", fleeting, `,"expiresIn":"1m"`, last.After},
		{"of one that does not expire", lasting, "", time.Time.IsZero},
		{"with an expiry of its own", lasting, `,"expiresIn":"720h"`, last.Before},
	} {
		got := d.Admin(tc.creator, http.MethodPost, "/v1/keys", `{"kind":"backend","scope":"otp"`+tc.expiresIn+`}`)
		if key := resultOf[struct{ ExpiresAt time.Time }](t, got); !tc.want(key.ExpiresAt) {
			t.Errorf("a key %s expires at %v", tc.what, key.ExpiresAt)
		}
	}
}

// A caller cannot unlock an account that an operator has disabled.
func TestUnlockOfADisabledAccount(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	d.Enroll("alice", aPIN)
	key, admin := d.Key("alice", authn.ScopeUnlock), d.BackendKey("", authn.ScopeAdmin)
	unlock := func() pimsdtest.Answer {
		return d.Call(key, http.MethodPost, pimsdtest.PathAccount, `{"action":"unlock"}`)
	}
	d.Admin(admin, http.MethodPost, "/v1/accounts/alice", `{"action":"disable"}`)
	if got := unlock(); got.Status != 404 || got.Code != 2312 || got.Header.Get("X-Pims-Reason") != "account_disabled" {
		t.Errorf("while it is disabled: %d %s", got.Status, got.Body)
	}
	d.Admin(admin, http.MethodPost, "/v1/accounts/alice", `{"action":"enable"}`)
	if got := unlock(); got.Status != http.StatusOK {
		t.Errorf("when it is enabled: %d %s", got.Status, got.Body)
	}
}
