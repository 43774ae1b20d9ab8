package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// KeyStore keeps API keys. A change is durable when its method returns nil, and seen by the next KeyByID.
// Times are exact to the microsecond.
type KeyStore interface {
	// AddKey stores a new key. ErrKeyExists says that there is one with this id.
	AddKey(ctx context.Context, key Key) error
	// KeyByID returns the key, be it revoked or expired, and the version of the keys that it was read in. ErrNoKey says that there is none.
	KeyByID(ctx context.Context, id string) (Key, Version, error)
	// RevokeKey notes that the key is not good any more. A repeat changes nothing; the first moment stays.
	// ErrNoKey says that there is no such key.
	RevokeKey(ctx context.Context, id string, at time.Time) error
	// KeysUsed notes when keys were last used, by their ids, all at once. A moment before the one that is noted already
	// changes nothing, unless that one lies in the future of the store's clock. An id of no key changes nothing.
	KeysUsed(ctx context.Context, last map[string]time.Time) error
	// ListKeys returns all keys, oldest first, and by id among those of one moment. A key that cannot be read has Damage.
	ListKeys(ctx context.Context) ([]Key, error)
	// CheckKeys returns ErrChangesUnnoticed when a change of a key by other means than this interface would draw no new Version.
	CheckKeys(ctx context.Context) error
}

// Version identifies a state of all keys of a store: where it is the same, no key was added, changed or revoked in between. Noting the use
// of a key does not change it. It is drawn at random, so that no state has the version of another after a store was restored. No state
// has the version 0, which means that the store does not know the version: then no key is recalled.
type Version int64

// What a KeyStore says besides its own failures.
var (
	ErrNoKey     = errors.New("there is no key with this id")
	ErrKeyExists = errors.New("there is a key with this id already")
	// ErrChangesUnnoticed means that a key that an older pimsd or a person with a shell revokes stays good for callers that are known.
	ErrChangesUnnoticed = errors.New("a trigger of the table api_key, or the row of the table keys_version, is missing, so that not every " +
		"change of an API key is noticed: make it again as docs/operations.md says under \"When the store fails\"")
)

// ErrKeyLookup says that the store could not be asked for an API key: nothing is known of the caller.
var ErrKeyLookup = errors.New("look up an API key")

// KeyLookupTimeout bounds how long an API key is looked up: a store that does not answer must not hold a call longer.
const KeyLookupTimeout = 5 * time.Second

// Keys authenticates callers by API keys.
type Keys struct {
	store    KeyStore
	now      func() time.Time
	uses     uses
	accepted accepted
}

// NewKeys returns the authenticator of the keys in store; now is the clock that keys expire by.
func NewKeys(store KeyStore, now func() time.Time) *Keys { return &Keys{store: store, now: now} }

var _ Authenticator = (*Keys)(nil)

// Authenticate returns the principal of a key, as Authenticator says. A text that has not the form of a key never
// reaches the store.
func (k *Keys) Authenticate(ctx context.Context, credential secret.Text) (Principal, error) {
	text := credential.Reveal()
	id, ok := keyID(text)
	if !ok {
		return Principal{}, errNotKey
	}
	ctx, cancel := context.WithTimeout(ctx, KeyLookupTimeout)
	defer cancel()
	key, version, err := k.store.KeyByID(ctx, id)
	switch {
	case errors.Is(err, ErrNoKey):
		k.accepted.forget(id)
		return Principal{}, refuse(ReasonUnknown, "no API key has the id "+id)
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrKeyLookup, err)
	}
	principal, err := k.accept(key, text)
	if err != nil {
		k.accepted.forget(id)
		if !key.RevokedAt.IsZero() {
			k.uses.withdraw(id, key.RevokedAt)
		}
		return Principal{}, err
	}
	if version != 0 {
		k.accepted.add(key, version)
	}
	return principal, nil
}

// Recall returns the principal of a key that Authenticate has accepted before, as far as that is still known, and the version of the keys
// at that time. It asks no store, and the key may have been revoked since: before anything is done for the principal, the store must have
// found, in the transaction that does it, that the keys still have that version. Else Authenticate decides.
func (k *Keys) Recall(credential secret.Text) (Principal, Version, bool) {
	text := credential.Reveal()
	id, ok := keyID(text)
	if !ok {
		return Principal{}, 0, false
	}
	key, version, ok := k.accepted.find(id)
	if !ok {
		return Principal{}, 0, false
	}
	principal, err := k.accept(key, text)
	return principal, version, err == nil
}

// accept returns the principal of a key that is stored, if the text is its text and it is good now.
func (k *Keys) accept(key Key, text string) (Principal, error) {
	hash, now := sha256.Sum256([]byte(text)), k.now()
	switch {
	case subtle.ConstantTimeCompare(hash[:], key.Hash[:]) != 1:
		return Principal{}, refuse(ReasonWrongSecret, "the API key with the id "+key.ID+" is another one")
	case !key.RevokedAt.IsZero():
		return Principal{}, refuse(ReasonRevoked, "the API key "+key.ID+" was revoked at "+key.RevokedAt.Format(time.RFC3339))
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		return Principal{}, refuse(ReasonExpired, "the API key "+key.ID+" expired at "+key.ExpiresAt.Format(time.RFC3339))
	}
	k.uses.record(key.ID, now)
	return Principal{Name: key.PrincipalName(), Grant: key.Grant, ExpiresAt: key.ExpiresAt}, nil
}

var errNotKey = refuse(ReasonMalformed, "the credential does not have the form of an API key")
