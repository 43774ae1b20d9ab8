package authn_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// certificateFor is a certificate of the key, in the form of a JWK's x5c, with a negative serial number if so wanted: some
// issuers publish such ones, and Go does not read them.
func certificateFor(t *testing.T, signer crypto.Signer, negative bool) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(0x7f), NotBefore: noon, NotAfter: noon.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if negative {
		serial := []byte{0x02, 0x01, 0x7f} // an INTEGER of one byte
		if bytes.Count(der[:20], serial) != 1 {
			t.Fatal("the serial number is not where it was expected")
		}
		copy(der[bytes.Index(der, serial):], []byte{0x02, 0x01, 0xff}) //nolint:gocritic // the serial is there
		if _, err := x509.ParseCertificate(der); err == nil {
			t.Fatal("Go reads a certificate with a negative serial number: the test shows nothing")
		}
	}
	return base64.StdEncoding.EncodeToString(der)
}

// What a JWK says of certificates, be it broken or of another key, changes nothing about the key.
func TestCertificatesOfKeysAreIgnored(t *testing.T) {
	t.Parallel()
	for name, member := range map[string]func(map[string]any){
		"an x5c with a negative serial number": with("x5c", []string{certificateFor(t, rsaKey(), true)}),
		"an x5c of another key":                with("x5c", []string{certificateFor(t, ecKey(), false)}),
		"an x5c of the key":                    with("x5c", []string{certificateFor(t, rsaKey(), false)}),
		"an x5c that is no certificate":        with("x5c", []string{"MIIB"}),
		"an x5c that is no list":               with("x5c", 7),
		"an x5t of another length":             with("x5t", "AAAA"),
		"an x5t that is no base64":             with("x5t", "%"),
		"an x5t#S256 of another length":        with("x5t#S256", "AAAA"),
		"an x5u that is no URL":                with("x5u", ":"),
		"an x5u of somebody else":              with("x5u", attacker),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network, heard := newInternet(), &reasons{}
			network.keys[loginJWKS] = []any{published("rsa", rsaKey().Public(), member), published("ed", edKey().Public())}
			tokens := newTokens(t, network, at(noon), func(c *authn.TokenConfig) { c.KeysFetched = heard.KeysFetched })
			expectTaken(t, tokens, sign(header("RS256", "rsa"), claims(), rsaKey()))
			expectRefused(t, tokens, sign(header("ES256", "rsa"), claims(), ecKey()))
			if heard.keys.Usable != 2 || len(heard.keys.LeftOut) != 0 {
				t.Errorf("the observer is told of %+v", heard.keys)
			}
			if n := network.requests(t); n != 1 {
				t.Errorf("there were %d fetches", n)
			}
		})
	}
}

// A signing key that cannot be used is named with the reason; keys for other ends are not.
func TestLeftOutKeysAreNamed(t *testing.T) {
	t.Parallel()
	loud := "a\n\x1b[31m\u202e" + strings.Repeat("x", 100)
	keys := append(loginKeys(),
		published("ops verify", shortKey().Public(), with("key_ops", []string{"verify"}), with("use", "sig")),
		map[string]any{"kty": "RSA", "kid": loud, "n": "AQAB", "e": "AQAB"},
		map[string]any{"kid": "no kty"}, map[string]any{"kty": "EC", "kid": 7}, nil, "a text",
		published("x25519", edKey().Public(), with("crv", "X25519")),
		published("enc too", shortKey().Public(), with("use", "enc")),
		published(strings.Repeat("k", 64), shortKey().Public()),
	)
	_, leftOut, err := authn.ReadKeys([]byte(text(object{"keys": keys})))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range leftOut {
		got = append(got, key.String())
	}
	const noObject = "a key without a kid: it is not a JSON object with the right types and each name once"
	const noMembers = ": its kty is missing, or its members do not make a key of that kty"
	want := []string{
		`key "short": it is an RSA key of less than 2048 bits`,
		`key "shared": it is a secret or private key, which everyone can read here`,
		`key "private": it is a secret or private key, which everyone can read here`,
		`key "new": its kty or crv is none that pimsd knows`,
		`key "broken"` + noMembers,
		`key "ops verify": it is an RSA key of less than 2048 bits`,
		`key "a\n\x1b[31m\u202e` + strings.Repeat("x", 64-len("a\n\x1b[31m\u202e")) + `"…: it is an RSA key of less than 2048 bits`,
		`key "no kty"` + noMembers,
		"a key without a kid" + noMembers,
		noObject, noObject,
		`key "x25519": its kty or crv is none that pimsd knows`,
		`key "` + strings.Repeat("k", 64) + `": it is an RSA key of less than 2048 bits`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("left out are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Of a token's header, the kid alone chooses among an issuer's keys.
func TestOnlyTheKidSelectsAKey(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		thumb := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{1}, 20))
		for _, name := range []string{"x5t", "x5t#S256"} {
			head, body := header("EdDSA", "ed").but(name, thumb), claimsAt(time.Now())
			expectTaken(t, tokens, sign(head, body, edKey()))
			expectRefused(t, tokens, sign(head, body, otherKey()))
			expectRefused(t, tokens, sign(head.but("kid", "gone"), body, edKey()))
		}
		expectRequests(t, network, 3) // one each for the kid that is not known
	})
}
