package authn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

const (
	loginURL  = "https://login.example/"
	loginJWKS = "https://login.example/keys"
	partsURL  = "https://parts.example"
	partsJWKS = "https://parts.example/jwks.json"
	attacker  = "https://attacker.example/keys"
)

// published is what the issuer publishes for a key.
func published(kid string, key any, change ...func(map[string]any)) map[string]any {
	jwk := map[string]any{}
	if err := json.Unmarshal(must(json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid})), &jwk); err != nil {
		panic(err)
	}
	for _, c := range change {
		c(jwk)
	}
	return jwk
}

// with sets a member of a JWK.
func with(name string, value any) func(map[string]any) {
	return func(jwk map[string]any) { jwk[name] = value }
}

// loginKeys are the keys of the issuer login: three that are good, and some that nothing may be signed with.
func loginKeys() []any {
	return []any{
		published("rsa", rsaKey().Public()),
		published("ec", ecKey().Public()),
		published("ed", edKey().Public()),
		published("rs256", rsaKey().Public(), with("alg", "RS256")),
		published("enc", rsaKey().Public(), with("use", "enc")),
		published("ops", rsaKey().Public(), with("key_ops", []string{"encrypt"})),
		published("short", shortKey().Public()),
		published("shared", sharedKey()),
		published("private", edKey()),
		map[string]any{"kty": "from the future", "kid": "new"},
		map[string]any{"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
	}
}

// internet is the Internet, as far as the authenticator is to know it: JWKS by address, and the addresses that were asked. It fits into a
// synctest bubble.
type internet struct {
	mu    sync.Mutex
	keys  map[string][]any // by address; none: no server answers
	asked []string
	delay time.Duration
	err   error
}

func newInternet() *internet {
	return &internet{keys: map[string][]any{loginJWKS: loginKeys(), partsJWKS: {published("parts", otherKey().Public())}}}
}

func (n *internet) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.asked = append(n.asked, r.URL.String())
	keys, delay, err := n.keys[r.URL.String()], n.delay, n.err
	n.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if keys == nil && err == nil {
		err = errors.New("no route to host")
	}
	if err != nil {
		return nil, err
	}
	body := must(json.Marshal(map[string]any{"keys": keys}))
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

// set changes the network.
func (n *internet) set(change func(*internet)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// requests is how often anybody was asked. That anybody but the issuers was asked fails the test.
func (n *internet) requests(t testing.TB) int {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, address := range n.asked {
		if address != loginJWKS && address != partsJWKS {
			t.Errorf("%s was asked", address)
		}
	}
	return len(n.asked)
}

// reasons keeps what the last fetch returned.
type reasons struct {
	mu   sync.Mutex
	keys authn.FetchedKeys
	err  error
}

func (r *reasons) KeysFetched(_ string, keys authn.FetchedKeys, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.err = keys, err
}

func login() authn.Issuer {
	return authn.Issuer{Name: "login", URL: loginURL, JWKSURL: loginJWKS, Audiences: []string{"pimsd", "pimsd-eu"}, AccountPrefix: "u-"}
}

func parts() authn.Issuer {
	return authn.Issuer{
		Name: "parts", URL: partsURL, JWKSURL: partsJWKS, Audiences: []string{"urn:pims"}, Type: "at+jwt",
		AccountClaim: "garage", AccountPrefix: "garage/", Scopes: []string{"otp", "enroll"}, Algorithms: []string{"EdDSA"},
	}
}

// newTokens returns an authenticator of both issuers, whose clock is time.Now unless now says otherwise.
func newTokens(t testing.TB, transport http.RoundTripper, change ...func(*authn.TokenConfig)) *authn.Tokens {
	t.Helper()
	config := authn.TokenConfig{
		Issuers: []authn.Issuer{login(), parts()}, Leeway: time.Minute, Transport: transport, Now: time.Now,
	}
	for _, c := range change {
		c(&config)
	}
	tokens, err := authn.NewTokens(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return tokens
}

func at(now time.Time) func(*authn.TokenConfig) {
	return func(c *authn.TokenConfig) { c.Now = func() time.Time { return now } }
}

// authenticator is one that recalls no caller.
type authenticator interface {
	Authenticate(ctx context.Context, credential secret.Text) (authn.Principal, error)
}

func authenticate(ctx context.Context, a authenticator, token string) (authn.Principal, error) {
	return a.Authenticate(ctx, credential(token))
}

func credential(text string) secret.Text { return secret.NewText(text) }

// expectWait fails unless err says that the keys are out of reach, for so many seconds, rounded up.
func expectWait(t testing.TB, err error, want time.Duration) {
	t.Helper()
	wait, ok := errors.AsType[*authn.RetryAfterError](err)
	if !ok || !errors.Is(err, authn.ErrKeysUnavailable) || errors.Is(err, authn.ErrUnauthenticated) ||
		(wait.For+time.Second-1).Truncate(time.Second) != want {
		t.Errorf("the error is %v, want that the keys are out of reach for %v", err, want)
	}
}

func expectTaken(t testing.TB, a authenticator, token string) {
	t.Helper()
	if principal, err := authenticate(t.Context(), a, token); err != nil || principal.Account == "" {
		t.Errorf("a good token: %v, %v", principal, err)
	}
}

func expectRefused(t testing.TB, a authenticator, token string) {
	t.Helper()
	if principal, err := authenticate(t.Context(), a, token); !errors.Is(err, authn.ErrUnauthenticated) || principal.Name != "" {
		t.Errorf("a bad token: %v, %v", principal, err)
	}
}

func without(keys []any, kid string) []any {
	return slices.DeleteFunc(slices.Clone(keys), func(k any) bool { return k.(map[string]any)["kid"] == kid })
}
