package authn_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// The account whose tokens are forged, with its PIN: were one of them taken, there would be an OTP.
const (
	forgedFor = "u-alice"
	aPIN      = "1234"
)

// jwksServer publishes the keys of both issuers on loopback.
func jwksServer(t *testing.T) *httptest.Server {
	t.Helper()
	sets := map[string][]any{"/login": loginKeys(), "/parts": {published("parts", otherKey().Public())}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, text(object{"keys": sets[r.URL.Path]}))
	}))
	t.Cleanup(server.Close)
	return server
}

// trusting is a daemon that trusts both issuers, whose keys are at server, with no leeway.
func trusting(t *testing.T, server *httptest.Server) *pimsdtest.Account {
	t.Helper()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.JWT.Leeway = 0
		for path, i := range map[string]authn.Issuer{"/login": login(), "/parts": parts()} {
			s.Config.JWT.Issuers = append(s.Config.JWT.Issuers, authn.Issuer{
				Name: i.Name, URL: i.URL, JWKSURL: server.URL + path, Audiences: i.Audiences, Algorithms: i.Algorithms, Type: i.Type,
				AccountClaim: i.AccountClaim, AccountPrefix: i.AccountPrefix, Scopes: i.Scopes,
			})
		}
	})
	return d.Enroll(forgedFor, aPIN)
}

// seen is what a caller sees of an answer, but for what is new in each.
func seen(a pimsdtest.Answer) string {
	header := maps.Clone(a.Header)
	for _, name := range []string{"Date", "X-Request-Id"} {
		header.Del(name)
	}
	return fmt.Sprint(a.Status, header, strings.ReplaceAll(a.Body, a.Transaction, "…"))
}

const refusal = `"error":{"code":2301,"label":"Need Basic Authentication (to get CVS token)"}`

// Whatever is wrong with a token or a key, the answer is the same to the last byte, and inWebo receives nothing.
func TestBadCredentialsOverHTTP(t *testing.T) {
	t.Parallel()
	a := trusting(t, jwksServer(t))
	for _, token := range []string{good(time.Now(), "ed"), sign(header("RS256", "rsa"), claimsAt(time.Now()), rsaKey()), a.Key} {
		if got := a.Daemon.Ask(token, pimsdtest.WithPIN(aPIN)); got.OTP == "" || !a.Verify(got.OTP) {
			t.Fatalf("a good credential: %s", got.Body)
		}
	}
	heard := a.Expected().Requests
	want := seen(a.Daemon.Ask("x", pimsdtest.WithPIN(aPIN)))
	if !strings.HasPrefix(want, "401 ") || !strings.Contains(want, refusal) || !strings.Contains(want, "Www-Authenticate") {
		t.Errorf("the answer lacks %s", want)
	}
	bad := badKeys(t, a)
	for name, forged := range (forger{time.Now()}).forgeries() {
		bad[name] = forged.token
	}
	unsendable := 0
	var callers sync.WaitGroup // those with an unknown kid wait for the same fetch
	for name, credential := range bad {
		if strings.TrimSpace(credential) != credential || strings.Contains(credential, "\n") { // no header has this value
			unsendable++
			continue
		}
		callers.Go(func() {
			want := want
			if credential == "" { // there is no header then, and the challenge says so by having no error
				want = strings.Replace(want, `, error="invalid_token"`, "", 1)
			}
			if got := seen(a.Daemon.Ask(credential, pimsdtest.WithPIN(aPIN))); got != want {
				t.Errorf("%s: %s\nwant %s", name, got, want)
			}
		})
	}
	callers.Wait()
	if n := a.Expected().Requests; n != heard {
		t.Errorf("inWebo heard %d requests more", n-heard)
	}
	if len(bad) < 140 || unsendable > 3 {
		t.Errorf("only %d bad credentials, %d of which cannot be sent", len(bad), unsendable)
	}
}

// badKeys are texts of keys that are good no more, or never were.
func badKeys(t *testing.T, a *pimsdtest.Account) map[string]string {
	t.Helper()
	grant := authn.Grant{Account: a.Name}
	now := time.Now()
	revoked, revokedText, err := authn.NewKey(grant, now, time.Time{})
	revoked.RevokedAt = now
	expired, expiredText, err2 := authn.NewKey(grant, now.Add(-time.Hour), now.Add(-time.Minute))
	_, unknown, err3 := authn.NewKey(grant, now, time.Time{})
	if err != nil || err2 != nil || err3 != nil {
		t.Fatal(err, err2, err3)
	}
	a.Daemon.StoreKey(revoked)
	a.Daemon.StoreKey(expired)
	return map[string]string{
		"a revoked key": revokedText.Reveal(), "an expired key": expiredText.Reveal(), "an unknown key": unknown.Reveal(),
		"a key with another end": a.Key[:len(a.Key)-1] + flip(a.Key[len(a.Key)-1:]), "half a key": a.Key[:30], "a key and more": a.Key + "a",
	}
}

// While an issuer's keys are out of reach, a token that only they can judge is neither good nor bad; what no key could
// save is refused as ever, and so are keys.
func TestIssuersOutOfReachOverHTTP(t *testing.T) {
	t.Parallel()
	server := jwksServer(t)
	server.Close()
	a := trusting(t, server)
	heard := a.Expected().Requests
	got := a.Daemon.Ask(good(time.Now(), "ed"), pimsdtest.WithPIN(aPIN))
	if got.Status != http.StatusServiceUnavailable || got.Code != 2001 || got.Header.Get("Retry-After") == "" {
		t.Errorf("a good token: %d %s", got.Status, got.Body)
	}
	for _, bad := range []string{sign(header("EdDSA", "ed"), claimsAt(time.Now()).but("aud", "x"), edKey()), "x", a.Key[:30]} {
		if got := a.Daemon.Ask(bad, pimsdtest.WithPIN(aPIN)); got.Status != http.StatusUnauthorized || got.Code != 2301 {
			t.Errorf("a bad credential: %d %s", got.Status, got.Body)
		}
	}
	if n := a.Expected().Requests; n != heard {
		t.Errorf("inWebo heard %d requests more", n-heard)
	}
	if got := a.OTP(aPIN); got.OTP == "" {
		t.Errorf("a good key: %s", got.Body)
	}
}
