package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/pimsd/pimsd/internal/secret"
)

// TokenConfig is all that Tokens depends on.
type TokenConfig struct {
	Issuers   []Issuer          // none: every token is refused
	Leeway    time.Duration     // how far an issuer's clock may be off
	Transport http.RoundTripper // fetches keys; its redirects are not followed
	Now       func() time.Time
	// KeysFetched, when set, is called after every fetch of an issuer's keys: with what it returned, or why it returned nothing. It is
	// called from many goroutines and must not block.
	KeysFetched func(issuer string, keys FetchedKeys, err error)
}

// Tokens authenticates callers by signed tokens (JWT) of configured issuers. It never asks an address that a token names,
// and of what a token says it believes nothing but which of an issuer's keys to try.
type Tokens struct {
	config     TokenConfig
	issuers    map[string]*tokenIssuer // by their iss
	algorithms []jose.SignatureAlgorithm
	client     *http.Client
	cancel     context.CancelFunc // of every fetch
}

type tokenIssuer struct {
	Issuer
	algorithms []jose.SignatureAlgorithm
	scopes     Scopes
	keys       *keySet
}

// NewTokens returns the authenticator of tokens; the caller must close it. IssuerFaults says what is wrong with the issuers.
// Nothing is fetched yet: that is for Warm, or for the first token.
func NewTokens(config TokenConfig) (*Tokens, error) {
	if err := CheckIssuers(config.Issuers); err != nil {
		return nil, err
	}
	if config.KeysFetched == nil {
		config.KeysFetched = func(string, FetchedKeys, error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	client := newKeyClient(config.Transport)
	t := &Tokens{config: config, issuers: map[string]*tokenIssuer{}, client: client, cancel: cancel}
	for _, issuer := range config.Issuers {
		scopes, _ := ParseScopes(issuer.Scopes) // checked above
		added := &tokenIssuer{
			Issuer: issuer, algorithms: issuer.signatureAlgorithms(), scopes: scopes,
			keys: &keySet{fetch: func() (jwks, error) {
				keys, err := fetchKeys(ctx, client, issuer.JWKSURL)
				config.KeysFetched(issuer.Name, keys.FetchedKeys, err)
				return keys, err
			}},
		}
		if added.AccountClaim == "" {
			added.AccountClaim = "sub"
		}
		t.issuers[issuer.URL] = added
		t.algorithms = append(t.algorithms, added.algorithms...)
	}
	return t, nil
}

// Authenticate returns the principal of a token. Whatever is wrong with one, the error is a Refusal. A Wait
// with ErrKeysUnavailable says that nothing is wrong with it but what its issuer's keys have to say, and that they are out
// of reach. Waiting for them, it takes KeyWaitTimeout at most.
//
// What needs no key is judged first. So a bad token is refused even while the keys are out of reach, and it makes no one
// fetch keys; that it has come that far tells its author only what the configuration of an honest client tells as well.
// A token may live as long as its issuer says: whether that is too long is the issuer's business.
func (t *Tokens) Authenticate(ctx context.Context, credential secret.Text) (Principal, error) {
	token, err := readToken(credential.Reveal(), t.algorithms)
	if err != nil {
		return Principal{}, err
	}
	issuer, ok := t.issuers[token.claims.Issuer]
	if !ok {
		return Principal{}, errIssuer
	}
	account, err := issuer.checkClaims(token, t.config.Now(), t.config.Leeway)
	if err == nil {
		err = issuer.verify(ctx, token)
	}
	if err != nil {
		return Principal{}, fmt.Errorf("issuer %s: %w", issuer.Name, err)
	}
	return Principal{Name: "jwt:" + issuer.Name + ":" + account, Grant: Grant{Account: account, Scopes: issuer.scopes}}, nil
}

// checkClaims returns the account that the token is for, provided that its signature is good, which is not looked at.
func (i *tokenIssuer) checkClaims(t token, now time.Time, leeway time.Duration) (account string, err error) {
	switch {
	case !slices.Contains(i.algorithms, t.header.Algorithm):
		return "", errAlgorithm
	case !t.header.hasType(i.Type):
		return "", errType
	case t.claims.Expiry == nil:
		return "", errNoExpiry
	}
	switch err = t.claims.ValidateWithLeeway(jwt.Expected{AnyAudience: i.Audiences, Time: now}, leeway); {
	case errors.Is(err, jwt.ErrExpired):
		return "", errExpired
	case errors.Is(err, jwt.ErrNotValidYet):
		return "", errNotYetValid
	case errors.Is(err, jwt.ErrIssuedInTheFuture):
		return "", errIssuedLater
	case errors.Is(err, jwt.ErrInvalidAudience):
		return "", errAudience
	case err != nil:
		return "", errClaims
	}
	var subject string
	if json.Unmarshal(t.all[i.AccountClaim], &subject) != nil || subject == "" || !isAccount(i.AccountPrefix+subject) {
		return "", errSubject
	}
	return i.AccountPrefix + subject, nil
}

// verify reports whether one of the issuer's keys made the token's signature.
func (i *tokenIssuer) verify(ctx context.Context, t token) error {
	keys, err := i.keys.find(ctx, t.header.keyID())
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != string(t.header.Algorithm) {
			continue
		}
		if _, err = t.jws.Verify(key.Key); err == nil {
			return nil
		}
	}
	return errSignature
}

// FetchKeys fetches the keys of one issuer, for a check of the configuration.
func FetchKeys(ctx context.Context, transport http.RoundTripper, issuer Issuer) (FetchedKeys, error) {
	client := newKeyClient(transport)
	defer client.CloseIdleConnections()
	keys, err := fetchKeys(ctx, client, issuer.JWKSURL)
	return keys.FetchedKeys, err
}

// Warm fetches the keys of all issuers, so that the first callers need not wait for them. The error names the issuers
// whose keys are out of reach; they are tried again when a token asks for them.
func (t *Tokens) Warm(ctx context.Context) error {
	for _, issuer := range t.issuers {
		issuer.keys.prefetch()
	}
	var failed []error
	for _, given := range t.config.Issuers {
		if _, err := t.issuers[given.URL].keys.find(ctx, ""); errors.Is(err, ErrKeysUnavailable) {
			failed = append(failed, fmt.Errorf("issuer %s: %w", given.Name, err))
		}
	}
	return errors.Join(failed...)
}

// Close ends fetches that are under way; there are none after it.
func (t *Tokens) Close() {
	t.cancel()
	for _, issuer := range t.issuers {
		issuer.keys.close()
	}
	t.client.CloseIdleConnections()
}
