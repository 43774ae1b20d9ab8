package api

import (
	"slices"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// The kinds of API keys.
const (
	kindAccount = "account"
	kindBackend = "backend"
)

type (
	// keyDescription is an API key as a list shows it. Nothing in it can be used to authenticate.
	keyDescription struct {
		ID         string     `json:"id"`
		Kind       string     `json:"kind,omitempty"`
		Account    string     `json:"account,omitempty"`
		Prefix     string     `json:"prefix,omitempty"`
		Scope      string     `json:"scope,omitempty"`
		State      string     `json:"state"`
		CreatedAt  *time.Time `json:"createdAt,omitempty"`
		ExpiresAt  *time.Time `json:"expiresAt,omitempty"`
		RevokedAt  *time.Time `json:"revokedAt,omitempty"`
		LastUsedAt *time.Time `json:"lastUsedAt,omitempty"`
	}
	keysResult struct {
		Keys []keyDescription `json:"keys"`
	}
	keyRequest struct {
		Kind      string `json:"kind" validate:"required,oneof=account backend"`
		Account   string `json:"account"`
		Prefix    string `json:"prefix"`
		Scope     string `json:"scope" validate:"required"` // names with blanks between
		ExpiresIn string `json:"expiresIn"`
	}
	// createdKey is a new key, with its text: this once.
	createdKey struct {
		keyDescription

		Key string `json:"key"`
	}
)

func describeKey(key authn.Key, now time.Time) keyDescription {
	if key.Damage != "" {
		return keyDescription{ID: key.ID, State: key.State(now)}
	}
	kind := kindAccount
	if key.Backend {
		kind = kindBackend
	}
	return keyDescription{
		ID: key.ID, Kind: kind, Account: key.Account, Prefix: key.Prefix, Scope: strings.Join(key.Scopes.Names(), " "),
		State: key.State(now), CreatedAt: when(key.CreatedAt), ExpiresAt: when(key.ExpiresAt), RevokedAt: when(key.RevokedAt),
		LastUsedAt: when(key.LastUsedAt),
	}
}

// administers reports whether the key is one of those that an administrator sees. The owner of a damaged key is unknown:
// only who administers all accounts sees it.
func administers(grant authn.Grant, key authn.Key) bool {
	if key.Damage != "" {
		return grant.Prefix == ""
	}
	return grant.Includes(key.Grant)
}

func (ad *administration) listKeys(c *adminCall) (any, error) {
	keys, err := ad.store.ListKeys(c.request.Context())
	if err != nil {
		return nil, err
	}
	shown, now := []keyDescription{}, time.Now()
	for _, key := range keys {
		if administers(c.principal.Grant, key) {
			shown = append(shown, describeKey(key, now))
		}
	}
	return keysResult{shown}, nil
}

// createKey makes a key that can do no more than the one that asks for it, expires no later, and cannot administer.
func (ad *administration) createKey(c *adminCall) (any, error) {
	req, err := bind[keyRequest](ad.rules, c.body.Reveal())
	if err != nil {
		return nil, err
	}
	grant, err := req.grant()
	if err != nil {
		return nil, err
	}
	if !c.principal.Includes(grant) {
		c.event.Account = grant.Account
		return nil, authn.ErrAccountForbidden
	}
	for _, scope := range grant.Scopes {
		if !c.principal.Has(scope) {
			return nil, &scopeError{scope}
		}
	}
	now := time.Now()
	expires, err := req.expiry(now)
	if err != nil {
		return nil, err
	}
	if last := c.principal.ExpiresAt; !last.IsZero() && (expires.IsZero() || expires.After(last)) {
		expires = last
	}
	key, text, err := authn.NewKey(grant, now, expires)
	if err != nil { // the prefix is all that was not checked so far
		return nil, &fault{errInvalid, "prefix"}
	}
	if err := ad.store.CreateKey(c.request.Context(), c.domainRequest(), key); err != nil {
		return nil, err
	}
	return createdKey{describeKey(key, now), text.Reveal()}, nil
}

// grant returns what the key is to be good for.
func (r keyRequest) grant() (authn.Grant, error) {
	scopes, err := authn.ParseScopes(strings.Fields(r.Scope))
	switch {
	case err != nil || slices.Contains(scopes, authn.ScopeAdmin) || strings.TrimSpace(r.Scope) == "":
		return authn.Grant{}, &fault{errInvalid, "scope"}
	case r.Kind == kindAccount && r.Prefix != "":
		return authn.Grant{}, &fault{errInvalid, "prefix"}
	case r.Kind == kindBackend && r.Account != "":
		return authn.Grant{}, &fault{errInvalid, "account"}
	case r.Kind == kindBackend:
		return authn.Grant{Backend: true, Prefix: r.Prefix, Scopes: scopes}, nil
	case r.Account == "":
		return authn.Grant{}, &fault{errMissing, "account"}
	}
	if _, err := otp.ParseAccount(r.Account); err != nil {
		return authn.Grant{}, &fault{errInvalid, "account"}
	}
	return authn.Grant{Account: r.Account, Scopes: scopes}, nil
}

// expiry returns when the key expires; the zero time for never.
func (r keyRequest) expiry(now time.Time) (time.Time, error) {
	if r.ExpiresIn == "" {
		return time.Time{}, nil
	}
	lifetime, err := time.ParseDuration(r.ExpiresIn)
	if err != nil || lifetime <= 0 {
		return time.Time{}, &fault{errInvalid, "expiresIn"}
	}
	return now.Add(lifetime), nil
}

func (ad *administration) revokeKey(c *adminCall) (any, error) {
	id, err := pathParameter(c.request, "id")
	if err != nil {
		return nil, err
	}
	keys, err := ad.store.ListKeys(c.request.Context()) // a look-up of one that is damaged would fail
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(keys, func(key authn.Key) bool { return key.ID == id && administers(c.principal.Grant, key) })
	if at < 0 {
		return nil, errNoSuchKey
	}
	return nothing{}, ad.store.RevokeKey(c.request.Context(), c.domainRequest(), keys[at], time.Now())
}
