package pimsdtest_test

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/pimsd/pimsd/internal/authn"
)

// issuer is one of tokens, which publishes its key.
type issuer struct {
	authn.Issuer

	t      *testing.T
	signer jose.Signer
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const kid = "canary"
	key := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: kid}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: kid, Use: "sig"}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(set)
	}))
	t.Cleanup(server.Close)
	return &issuer{t: t, signer: signer, Issuer: authn.Issuer{
		Name: "canaries", URL: "https://issuer.example/", JWKSURL: server.URL, Audiences: []string{"pimsd"},
	}}
}

// token is one for the account, good for so long.
func (i *issuer) token(account string, life time.Duration) string {
	i.t.Helper()
	text, err := jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: i.URL, Subject: account, Audience: i.Audiences, Expiry: jwt.NewNumericDate(time.Now().Add(life)),
	}).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}
