package authn

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // encoding/json that minds the case of names and refuses an object that repeats one
	"github.com/go-jose/go-jose/v4/jwt"
)

// maxTokenLength is that of the longest token, in bytes. Real ones have 1 to 3 KiB.
const maxTokenLength = 8 << 10

// Why a token is refused.
var (
	errTokenLength = refuse(ReasonMalformed, "the token is longer than 8 KiB")
	errTokenForm   = refuse(ReasonMalformed, "the token is not a JWS in compact form, or its algorithm is none that an issuer may use")
	errHeader      = refuse(ReasonMalformed, "the token's header is not a JSON object with the right types and each name once")
	errHeaderName  = refuse(ReasonMalformed, "the token's header says how to read it or "+
		"where to take its key from: crit, b64, jku, jwk, x5u or x5c")
	errClaims      = refuse(ReasonMalformed, "the token's claims are not a JSON object with the right types and each name once")
	errIssuer      = refuse(ReasonWrongIssuer, "the token is from no configured issuer")
	errAlgorithm   = refuse(ReasonWrongAlgorithm, "the token's algorithm is not one of its issuer's")
	errType        = refuse(ReasonWrongType, "the token's typ is not that of its issuer's access tokens")
	errNoExpiry    = refuse(ReasonNoExpiry, "the token has no exp")
	errExpired     = refuse(ReasonExpired, "the token has expired (exp)")
	errNotYetValid = refuse(ReasonNotYetValid, "the token is not valid yet (nbf)")
	errIssuedLater = refuse(ReasonNotYetValid, "the token was issued in the future (iat)")
	errAudience    = refuse(ReasonWrongAudience, "the token's audience (aud) is none of its issuer's setting")
	errSubject     = refuse(ReasonWrongSubject, "the token's claim for the account is missing or cannot name an account")
	errKeyMissing  = refuse(ReasonNoKeyID, "the token has no kid, and its issuer several keys")
	errKeyUnknown  = refuse(ReasonUnknownKeyID, "the token's kid is none of its issuer's")
	errSignature   = refuse(ReasonBadSignature, "the token's signature is not good")
)

// token is a JWS that has been taken apart. Nothing of it can be trusted before its signature has been verified.
type token struct {
	jws    *jose.JSONWebSignature
	header tokenHeader
	claims jwt.Claims
	all    map[string]json.RawMessage // every claim
}

type tokenHeader struct {
	Algorithm jose.SignatureAlgorithm `json:"alg"`
	KeyID     *string                 `json:"kid"`
	Type      *string                 `json:"typ"`
}

// readToken takes a token apart, if it has the one form that is taken: a JWS in compact serialization (RFC 7515 §7.1)
// with one of the algorithms.
func readToken(text string, algorithms []jose.SignatureAlgorithm) (t token, err error) {
	if len(text) > maxTokenLength {
		return token{}, errTokenLength
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 || slices.ContainsFunc(parts, isNotBase64) {
		return token{}, errTokenForm
	}
	if t.header, err = readHeader(parts[0]); err != nil {
		return token{}, err
	}
	if t.jws, err = jose.ParseSignedCompact(text, algorithms); err != nil {
		return token{}, errTokenForm
	}
	payload := t.jws.UnsafePayloadWithoutVerification() // the same bytes that Verify is going to verify
	if json.Unmarshal(payload, &t.all) != nil || json.Unmarshal(payload, &t.claims) != nil {
		return token{}, errClaims
	}
	return t, nil
}

// isNotBase64 reports whether a part of a token is empty or not base64url as it must be written; the decoder itself would
// overlook line breaks and bits beyond the last byte.
func isNotBase64(part string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err != nil || part == "" || base64.RawURLEncoding.EncodeToString(raw) != part
}

func readHeader(part string) (tokenHeader, error) {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return tokenHeader{}, errHeader
	}
	var header tokenHeader
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil || json.Unmarshal(raw, &header) != nil {
		return tokenHeader{}, errHeader
	}
	for _, name := range []string{"crit", "b64", "jku", "jwk", "x5u", "x5c"} {
		if _, has := all[name]; has {
			return tokenHeader{}, errHeaderName
		}
	}
	if header.KeyID != nil && *header.KeyID == "" {
		return tokenHeader{}, errHeader
	}
	return header, nil
}

// keyID is the kid, or empty without one.
func (h tokenHeader) keyID() string {
	if h.KeyID == nil {
		return ""
	}
	return *h.KeyID
}

// hasType reports whether the header's typ is what an issuer's must be, application/ left out and in any case (RFC 9068 §4,
// RFC 7515 §4.1.9). Where an issuer has none, nothing that declares itself something else than an access token will do.
func (h tokenHeader) hasType(want string) bool {
	switch {
	case h.Type == nil:
		return want == ""
	case want == "":
		return isType(*h.Type, "JWT") || isType(*h.Type, "at+jwt")
	}
	return isType(*h.Type, want)
}

func isType(typ, want string) bool { return strings.EqualFold(bareType(typ), bareType(want)) }

func bareType(typ string) string { return strings.TrimPrefix(strings.ToLower(typ), "application/") }
