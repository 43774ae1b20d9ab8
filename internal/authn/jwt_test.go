package authn_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// garage gives header and claims of a good token of parts.
func garage() (head, body object) { return garageAt(noon) }

func garageAt(now time.Time) (head, body object) {
	return header("EdDSA", "parts").but("typ", "at+jwt"),
		object{"iss": partsURL, "aud": []string{"other", "urn:pims"}, "exp": now.Add(time.Hour).Unix(), "garage": "7"}
}

// The longest token has 8 KiB.
func TestTheLongestToken(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, newInternet(), at(noon))
	tried := 0
	shortest := len(sign(header("EdDSA", "ed"), claims(), edKey()))
	for padding := (8<<10-shortest)*3/4 - 20; tried < 2 && padding < 8<<10; padding++ {
		head := header("EdDSA", "ed").but("ver", strings.Repeat("x", padding%3)) // base64 has no text of some lengths
		token := sign(head, claims().but("jti", strings.Repeat("x", padding)), edKey())
		switch len(token) {
		case 8 << 10:
			expectTaken(t, tokens, token)
			tried++
		case 8<<10 + 1:
			expectRefused(t, tokens, token)
			tried++
		}
	}
	if tried < 2 {
		t.Errorf("%d tokens had the length", tried)
	}
}

func TestTokensThatAreTaken(t *testing.T) {
	t.Parallel()
	partsHead, partsBody := garage()
	alice := authn.Principal{Name: "jwt:login:u-alice", Grant: authn.Grant{Account: "u-alice", Scopes: authn.Scopes{authn.ScopeOTP}}}
	workshop := authn.Principal{
		Name:  "jwt:parts:garage/7",
		Grant: authn.Grant{Account: "garage/7", Scopes: authn.Scopes{authn.ScopeOTP, authn.ScopeEnroll}},
	}
	longest := noon.AddDate(100, 0, 0).Unix()
	for name, tc := range map[string]struct {
		token string
		want  authn.Principal
	}{
		"RS256":                     {sign(header("RS256", "rsa"), claims(), rsaKey()), alice},
		"PS256":                     {sign(header("PS256", "rsa"), claims(), rsaKey()), alice},
		"ES256":                     {sign(header("ES256", "ec"), claims(), ecKey()), alice},
		"EdDSA":                     {sign(header("EdDSA", "ed"), claims(), edKey()), alice},
		"the algorithm of its key":  {sign(header("RS256", "rs256"), claims(), rsaKey()), alice},
		"no typ":                    {sign(header("EdDSA", "ed").but("typ", nil), claims(), edKey()), alice},
		"typ in another case":       {sign(header("EdDSA", "ed").but("typ", "jwt"), claims(), edKey()), alice},
		"typ of an access token":    {sign(header("EdDSA", "ed").but("typ", "application/AT+JWT"), claims(), edKey()), alice},
		"header names of no matter": {sign(header("EdDSA", "ed").but("x5t", "AA").but("ver", 2), claims(), edKey()), alice},
		"another audience":          {sign(header("EdDSA", "ed"), claims().but("aud", []string{"x", "pimsd-eu"}), edKey()), alice},
		"expired within the leeway": {sign(header("EdDSA", "ed"), claims().but("exp", noon.Unix()-59), edKey()), alice},
		"early within the leeway":   {sign(header("EdDSA", "ed"), claims().but("nbf", noon.Unix()+59), edKey()), alice},
		"no nbf, no iat":            {sign(header("EdDSA", "ed"), claims().but("nbf", nil).but("iat", nil), edKey()), alice},
		"a fraction of a second":    {sign(header("EdDSA", "ed"), claims().but("exp", float64(noon.Unix())+0.5), edKey()), alice},
		"good for a century":        {sign(header("EdDSA", "ed"), claims().but("exp", longest), edKey()), alice},
		"the other issuer":          {sign(partsHead, partsBody, otherKey()), workshop},
		"its only key, unnamed":     {sign(partsHead.but("kid", nil), partsBody, otherKey()), workshop},
		"its typ, in full":          {sign(partsHead.but("typ", "Application/At+JWT"), partsBody, otherKey()), workshop},
	} {
		got, err := authenticate(t.Context(), newTokens(t, newInternet(), at(noon)), tc.token)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tc.want)
		}
	}
}

func TestEitherAsksByTheForm(t *testing.T) {
	t.Parallel()
	key, keyText := newKey(t, bound, time.Time{})
	store := &keyStore{keys: map[string]authn.Key{key.ID: key}}
	network := newInternet()
	either := authn.Either{
		Keys:   authn.NewKeys(store, func() time.Time { return noon }),
		Tokens: newTokens(t, network, at(noon)),
	}
	for _, tc := range []struct{ credential, want string }{
		{keyText, "key:" + key.ID},
		{good(noon, "ed"), "jwt:login:u-alice"},
		{"", ""},
		{"pims_", ""},
		{"password", ""},
		{keyText + ".e30.AA", ""},
		{"pims_." + good(noon, "ed"), ""},
	} {
		got, err := authenticate(t.Context(), either, tc.credential)
		if got.Name != tc.want || tc.want == "" && !errors.Is(err, authn.ErrUnauthenticated) {
			t.Errorf("%q: %q, %v; want %q", tc.credential, got.Name, err, tc.want)
		}
	}
	if store.asked != 1 || network.requests(t) != 1 {
		t.Errorf("the store was asked %d times, and an issuer %d times", store.asked, network.requests(t))
	}
}

func TestWithoutIssuersNoTokenIsTaken(t *testing.T) {
	t.Parallel()
	network := newInternet()
	tokens := newTokens(t, network, at(noon), func(c *authn.TokenConfig) { c.Issuers = nil })
	expectRefused(t, tokens, good(noon, "ed"))
	if err := tokens.Warm(t.Context()); err != nil || network.requests(t) != 0 {
		t.Errorf("no issuer can be asked: %v", err)
	}
}
