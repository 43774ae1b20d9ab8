package authn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
)

// fuzzedKeys are keys that every process of the fuzzer makes alike.
func fuzzedKeys() []any {
	return []any{published("ec", ecKey().Public()), published("ed", edKey().Public())}
}

func fuzzedTokens(f *testing.F) *authn.Tokens {
	f.Helper()
	network := newInternet()
	network.keys[loginJWKS] = fuzzedKeys()
	tokens := newTokens(f, network, at(noon))
	if err := tokens.Warm(f.Context()); err != nil {
		f.Fatal(err)
	}
	return tokens
}

// atOnce is the context of a caller who does not wait for keys.
func atOnce(t *testing.T) context.Context {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	return ctx
}

// The law: a text is refused, or its signature is one of the issuer's by the reference, and its claims are those of the
// principal.
func FuzzToken(f *testing.F) {
	f.Add(good(noon, "ed"))
	f.Add(sign(header("ES256", "ec"), claims(), ecKey()))
	for _, forgery := range forgeries() {
		f.Add(forgery.token)
	}
	tokens := fuzzedTokens(f)
	f.Fuzz(func(t *testing.T, token string) {
		principal, err := authenticate(atOnce(t), tokens, token)
		if err == nil {
			expectVerified(t, token, principal)
		}
	})
}

// The same law for what the issuer itself might sign.
func FuzzSignedToken(f *testing.F) {
	for _, forgery := range forgeries() {
		if parts := strings.Split(forgery.token, "."); len(parts) == 3 {
			head, _ := base64.RawURLEncoding.DecodeString(parts[0])
			body, _ := base64.RawURLEncoding.DecodeString(parts[1])
			f.Add(string(head), string(body))
		}
	}
	f.Add(text(header("EdDSA", "ed")), text(claims()))
	f.Add(`{"alg":"EdDSA","kid":"ed","v":{"v":1}}`, `{"iss":"https://login.example/","aud":["pimsd"],"exp":1.8e9,"sub":"a b"}`)
	tokens := fuzzedTokens(f)
	f.Fuzz(func(t *testing.T, head, body string) {
		token := sign(head, body, edKey())
		principal, err := authenticate(atOnce(t), tokens, token)
		if err == nil {
			expectVerified(t, token, principal)
		}
	})
}

// expectVerified fails unless the token, read by the standard library alone, is good for the principal.
func expectVerified(t *testing.T, token string, principal authn.Principal) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q was taken", token)
	}
	var decoded [3][]byte
	for i, part := range parts {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			t.Fatalf("%q was taken: %v", token, err)
		}
		decoded[i] = raw
	}
	var head, body map[string]any
	if err := json.Unmarshal(decoded[0], &head); err != nil {
		t.Fatalf("the header %q was taken: %v", decoded[0], err)
	}
	if err := json.Unmarshal(decoded[1], &body); err != nil {
		t.Fatalf("the claims %q were taken: %v", decoded[1], err)
	}
	if !verifies(head, parts[0]+"."+parts[1], decoded[2]) {
		t.Errorf("%q was taken, and its signature is not good", token)
	}
	for _, name := range []string{"crit", "b64", "jku", "jwk", "x5u", "x5c"} {
		if _, has := head[name]; has {
			t.Errorf("the header %q was taken", decoded[0])
		}
	}
	exp, _ := body["exp"].(float64)
	audiences, listed := body["aud"].([]any)
	if !listed {
		audiences = []any{body["aud"]}
	}
	ours := slices.Contains(audiences, "pimsd") || slices.Contains(audiences, "pimsd-eu")
	subject, _ := body["sub"].(string)
	if body["iss"] != loginURL || !ours || int64(exp) < noon.Unix()-60 || subject == "" || principal.Account != "u-"+subject {
		t.Errorf("the claims %q were taken for %+v", decoded[1], principal)
	}
}

// verifies checks a signature of one of fuzzedKeys.
func verifies(head map[string]any, input string, signature []byte) bool {
	digest := sha256.Sum256([]byte(input))
	switch {
	case head["kid"] == "ed" && head["alg"] == "EdDSA":
		return ed25519.Verify(edKey().Public().(ed25519.PublicKey), []byte(input), signature)
	case head["kid"] == "ec" && head["alg"] == "ES256" && len(signature) == 64:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(&ecKey().PublicKey, digest[:], r, s)
	}
	return false
}

// The law: what is read from an answer can check signatures, is meant for it, and cannot make one.
func FuzzJWKS(f *testing.F) {
	f.Add([]byte(text(object{"keys": loginKeys()})))
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQ"}]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, `{"keys":[null,{"use":"enc"}]}`,
		text(object{"keys": []any{published("x", edKey().Public(), with("x5c", []string{"MIIB"}))}}),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, _, err := authn.ReadKeys(body)
		if err != nil && keys != nil {
			t.Errorf("%d keys come with the error %v", len(keys), err)
		}
		for _, key := range keys {
			if !key.IsPublic() || !key.Valid() || key.Use != "" && key.Use != "sig" {
				t.Errorf("a %T for %q is used", key.Key, key.Use)
			}
			if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() < 2048 {
				t.Errorf("a key of %d bits is used", public.N.BitLen())
			}
		}
	})
}
