package authn_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"
)

// The reference's own keys, by kid, made once: RSA takes its time.
var (
	rsaKey    = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	shortKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	ecKey     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar(1))) })
	edKey     = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(scalar(2)) })
	otherKey  = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(scalar(3)) })
	sharedKey = sync.OnceValue(func() []byte { return scalar(4) })
)

func scalar(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// object is a JSON object under construction.
type object map[string]any

// but returns a copy with other members; nil takes one away.
func (o object) but(name string, value any) object {
	changed := maps.Clone(o)
	changed[name] = value
	maps.DeleteFunc(changed, func(_ string, v any) bool { return v == nil })
	return changed
}

func header(alg, kid string) object { return object{"alg": alg, "kid": kid, "typ": "JWT"} }

// claims are those of a good token of login at noon.
func claims() object { return claimsAt(noon) }

func claimsAt(now time.Time) object {
	return object{
		"iss": loginURL, "sub": "alice", "aud": "pimsd", "exp": now.Add(time.Hour).Unix(), "nbf": now.Unix(), "iat": now.Unix(),
		"jti": "1", "scope": "openid",
	}
}

// good is a token of login that is good at that time.
func good(now time.Time, kid string) string {
	return sign(header("EdDSA", kid), claimsAt(now), edKey())
}

// text gives header or claims as they are sent: an object as JSON, a text as it stands.
func text(part any) string {
	if s, ok := part.(string); ok {
		return s
	}
	return string(must(json.Marshal(part)))
}

func encode(part string) string { return base64.RawURLEncoding.EncodeToString([]byte(part)) }

// sign is the reference: a JWS by the text of RFC 7515 and 7518, and nothing of a library for it.
// A header that is an object says how to sign; otherwise the key does.
func sign(header, claims, key any) string {
	input := encode(text(header)) + "." + encode(text(claims))
	alg := ""
	if o, ok := header.(object); ok {
		alg, _ = o["alg"].(string)
	}
	return input + "." + encode(string(signature(alg, input, key)))
}

func signature(alg, input string, key any) []byte {
	digest := sha256.Sum256([]byte(input))
	switch key := key.(type) {
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return mac.Sum(nil)
	case ed25519.PrivateKey:
		return ed25519.Sign(key, []byte(input))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		if alg == "PS256" {
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32}))
		}
		return must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]))
	case nil:
		return nil
	}
	panic(fmt.Sprintf("no way to sign with a %T", key))
}
