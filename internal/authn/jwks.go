package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// KeyFetchTimeout is how long fetching an issuer's keys may take.
	KeyFetchTimeout = 5 * time.Second
	// KeyWaitTimeout is how long a token waits for the keys of its issuer.
	KeyWaitTimeout = 6 * time.Second
)

const maxJWKSBytes = 1 << 20

// newKeyClient returns a client that asks the configured address and follows no redirect.
func newKeyClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetchKeys returns the keys of the JWKS at an address. The error does not repeat the address, which may have a key of its
// own in it.
func fetchKeys(ctx context.Context, client *http.Client, address string) (keys jwks, err error) {
	defer func() {
		if p := recover(); p != nil { // no caller is above to catch it, and the process is worth more than one issuer
			keys, err = jwks{}, errors.New("reading the JWKS panicked")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, KeyFetchTimeout)
	defer cancel()
	body, err := get(ctx, client, address)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return jwks{}, fmt.Errorf("fetch the JWKS: %w", err)
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
