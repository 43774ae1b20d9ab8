package authn

import (
	"crypto/rsa"
	"errors"
	"slices"
	"strconv"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const minRSABits = 2048

// jwks is what a JWKS has for checking signatures.
type jwks struct {
	FetchedKeys

	usable []jose.JSONWebKey
}

// FetchedKeys is what a fetch of an issuer's keys brought.
type FetchedKeys struct {
	Usable  int
	LeftOut []LeftOutKey
}

// LeftOutKey is a key of a JWKS that is meant for signatures, or may be, and cannot be used: tokens that are signed with it
// are refused.
type LeftOutKey struct {
	KeyID string // its kid, quoted and cut; empty when it has none that can be read
	Why   string // a clause
}

// String names the key and says why it is left out.
func (k LeftOutKey) String() string {
	if k.KeyID == "" {
		return "a key without a kid: " + k.Why
	}
	return "key " + k.KeyID + ": " + k.Why
}

// readKeys returns the keys of a JWKS (RFC 7517 §5) that can check a signature, and those that are left out. Keys for
// encryption are in neither list.
func readKeys(body []byte) (jwks, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return jwks{}, errors.New("the answer is not a JWKS: it must be a JSON object with a list of keys")
	}
	var read jwks
	for _, raw := range *set.Keys {
		key, why := readKey(raw)
		switch {
		case why != "":
			read.LeftOut = append(read.LeftOut, LeftOutKey{kidOf(raw), why})
		case key != nil:
			read.usable = append(read.usable, *key)
		}
	}
	read.Usable = len(read.usable)
	return read, nil
}

// readKey reads one JWK. It returns no key and no reason for one that is not meant for signatures.
//
// Certificate members of a JWK are not read: a key is trusted because its issuer publishes it, and what a certificate
// says of it changes nothing. Some issuers publish certificates that Go does not read, such as with a negative serial number.
func readKey(raw json.RawMessage) (key *jose.JSONWebKey, why string) {
	var members map[string]*json.RawMessage // pointers, since this package encodes bare ones as base64
	var meant struct {
		Use        string   `json:"use"`
		Operations []string `json:"key_ops"`
	}
	if json.Unmarshal(raw, &members) != nil || members == nil || json.Unmarshal(raw, &meant) != nil {
		return nil, "it is not a JSON object with the right types and each name once"
	}
	if meant.Use != "" && meant.Use != "sig" || meant.Operations != nil && !slices.Contains(meant.Operations, "verify") {
		return nil, ""
	}
	for _, name := range []string{"x5c", "x5t", "x5t#S256", "x5u"} {
		delete(members, name)
	}
	bare, err := json.Marshal(members)
	if err != nil {
		return nil, "it cannot be read"
	}
	key = new(jose.JSONWebKey)
	switch err := json.Unmarshal(bare, key); {
	case errors.Is(err, jose.ErrUnsupportedKeyType):
		return nil, "its kty or crv is none that pimsd knows"
	case err != nil:
		return nil, "its kty is missing, or its members do not make a key of that kty"
	case !key.IsPublic():
		return nil, "it is a secret or private key, which everyone can read here"
	case isShort(*key):
		return nil, "it is an RSA key of less than " + strconv.Itoa(minRSABits) + " bits"
	}
	return key, ""
}

// maxShownKeyID is how much is shown of a kid.
const maxShownKeyID = 64

// kidOf returns a JWK's kid, quoted and cut: it is free text.
func kidOf(raw json.RawMessage) string {
	var named struct {
		KeyID string `json:"kid"`
	}
	if json.Unmarshal(raw, &named) != nil || named.KeyID == "" {
		return ""
	}
	if len(named.KeyID) > maxShownKeyID {
		return strconv.QuoteToASCII(named.KeyID[:maxShownKeyID]) + "…"
	}
	return strconv.QuoteToASCII(named.KeyID)
}

// isShort reports whether the key is one of RSA with less than minRSABits bits.
func isShort(key jose.JSONWebKey) bool {
	public, ok := key.Key.(*rsa.PublicKey)
	return ok && public.N.BitLen() < minRSABits
}
