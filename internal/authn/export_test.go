package authn

import "github.com/go-jose/go-jose/v4"

// ReadKeys returns the usable keys of a JWKS, and those that are left out.
func ReadKeys(body []byte) ([]jose.JSONWebKey, []LeftOutKey, error) {
	set, err := readKeys(body)
	return set.usable, set.leftOut, err
}
