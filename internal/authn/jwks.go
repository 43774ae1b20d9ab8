package authn

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// KeyFetchTimeout is how long fetching an issuer's keys may take.
const KeyFetchTimeout = 5 * time.Second

const (
	maxJWKSBytes = 1 << 20
	minRSABits   = 2048
)

// newKeyClient gives a client that asks the configured address and follows nobody elsewhere.
func newKeyClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetchKeys gives the usable keys of the JWKS at an address. The error does not repeat the address, which may have a key
// of its own in it.
func fetchKeys(ctx context.Context, client *http.Client, address string) (keys []jose.JSONWebKey, err error) {
	defer func() {
		if p := recover(); p != nil { // no caller is above to catch it, and the process is worth more than one issuer
			keys, err = nil, errors.New("reading the JWKS panicked")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, KeyFetchTimeout)
	defer cancel()
	body, err := get(ctx, client, address)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, fmt.Errorf("fetch the JWKS: %w", err)
	}
	return readKeys(body)
}

func get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "pimsd")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is HTTP %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxJWKSBytes+1))
	if err == nil && len(body) > maxJWKSBytes {
		err = errors.New("the answer is larger than 1 MiB")
	}
	return body, err
}

// readKeys gives the keys of a JWKS (RFC 7517 §5) that can check a signature. Those that cannot, or that it does not
// understand, it leaves out; so a set may have none.
func readKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, errors.New("the answer is not a JWKS: it must be a JSON object with a list of keys")
	}
	var usable []jose.JSONWebKey
	for _, raw := range *set.Keys {
		var key jose.JSONWebKey
		var meant struct {
			Use        string   `json:"use"`
			Operations []string `json:"key_ops"`
		}
		if json.Unmarshal(raw, &key) != nil || json.Unmarshal(raw, &meant) != nil {
			continue
		}
		forSignatures := (meant.Use == "" || meant.Use == "sig") &&
			(meant.Operations == nil || slices.Contains(meant.Operations, "verify"))
		if forSignatures && key.IsPublic() && !isShort(key) { // a private key that is published is everyone's
			usable = append(usable, key)
		}
	}
	return usable, nil
}

// isShort tells whether the key is one of RSA with less than 2048 bits.
func isShort(key jose.JSONWebKey) bool {
	public, ok := key.Key.(*rsa.PublicKey)
	return ok && public.N.BitLen() < minRSABits
}
