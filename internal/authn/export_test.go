package authn

import "github.com/go-jose/go-jose/v4"

// ReadKeys gives the usable keys of a JWKS.
func ReadKeys(body []byte) ([]jose.JSONWebKey, error) { return readKeys(body) }
