package authn

import "github.com/go-jose/go-jose/v4"

// MaxAccepted is how many keys are known to have been accepted, at most.
const MaxAccepted = maxAccepted

// ReadKeys returns the usable keys of a JWKS, and those that are left out.
func ReadKeys(body []byte) ([]jose.JSONWebKey, []LeftOutKey, error) {
	set, err := readKeys(body)
	return set.usable, set.LeftOut, err
}
