package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// AddKey is as authn.KeyStore says.
func (s *Store) AddKey(ctx context.Context, key authn.Key) error {
	return s.writer.change(ctx, changingOne(authn.ErrKeyExists, insertKey, func(p *params) {
		p.text(key.ID)
		p.blob(key.Hash[:])
		if key.Backend {
			p.null()
		} else {
			p.text(key.Account)
		}
		p.text(key.Prefix)
		p.text(strings.Join(key.Scopes.Names(), " "))
		p.at(key.CreatedAt)
		p.atOrNull(key.ExpiresAt)
		p.atOrNull(key.RevokedAt)
		p.atOrNull(key.LastUsedAt)
	}))
}

// RevokeKey is as authn.KeyStore says.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	revoking := changingOne(authn.ErrNoKey, revokeKey, func(p *params) {
		p.at(at)
		p.text(id)
	})
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		if refusal, failure = revoking(on); refusal == nil && failure == nil {
			_, failure = on.exec(drawKeysVersion) // as the triggers do, which may be missing
		}
		return refusal, failure
	})
}

// CheckKeys is as authn.KeyStore says.
func (s *Store) CheckKeys(ctx context.Context) error {
	drawn, err := list(ctx, s, "look for the triggers of the API keys", func(r *row) (bool, error) { return r.flag(), r.err }, keysDrawn)
	if err == nil && len(drawn) == 1 && !drawn[0] {
		err = fmt.Errorf("%s: %w", s.writer.path, authn.ErrChangesUnnoticed)
	}
	return err
}

// refuseUnnoticedChanges returns ErrChangesUnnoticed of CheckKeys. Where the store is damaged, the calls that need what is damaged say so.
func (s *Store) refuseUnnoticedChanges(ctx context.Context) error {
	if err := s.CheckKeys(ctx); errors.Is(err, authn.ErrChangesUnnoticed) {
		return err
	}
	return nil
}

// changingOne returns the change of one row by a statement, which is refused with none when there is no such row.
func changingOne(none error, text string, set func(*params)) change {
	return func(on target) (refusal, failure error) {
		changed, err := on.execWith(text, set)
		if err == nil && changed == 0 {
			return none, nil
		}
		return nil, err
	}
}

// KeysUsed is as authn.KeyStore says.
func (s *Store) KeysUsed(ctx context.Context, last map[string]time.Time) error {
	last = maps.Clone(last)
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		for id, at := range last {
			if _, err := on.exec(useKey, s.now().UnixMicro(), at.UnixMicro(), id); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// KeyByID is as authn.KeyStore says.
func (s *Store) KeyByID(ctx context.Context, id string) (authn.Key, authn.Version, error) {
	if err := s.health.refusal(); err != nil {
		return authn.Key{}, 0, err
	}
	type found struct {
		key     authn.Key
		version authn.Version
	}
	readFound := func(r *row) (f found, err error) {
		if f.key, err = readKey(r); err == nil {
			f.version = authn.Version(r.integer())
		}
		return f, err
	}
	keys, err := read(ctx, s.writer, func(c *conn) ([]found, error) { return all(c, readFound, findKey, id) })
	switch {
	case err != nil:
		return authn.Key{}, 0, s.readError("look up an API key", err)
	case len(keys) == 0:
		return authn.Key{}, 0, authn.ErrNoKey
	}
	return keys[0].key, keys[0].version, nil
}

// ListKeys is as authn.KeyStore says.
func (s *Store) ListKeys(ctx context.Context) ([]authn.Key, error) {
	keys, err := list(ctx, s, "list the API keys", readListedKey, listKeys)
	if isDamage(err) {
		return s.listKeysSingly(ctx)
	}
	return keys, err
}

// readKey reads keyColumns. The id is read also of a key that cannot be.
func readKey(r *row) (key authn.Key, err error) {
	key.ID = r.text()
	hash := r.blob()
	key.Backend = r.isNull()
	if !key.Backend {
		key.Account = r.text()
	}
	key.Prefix = r.text()
	scopes := r.text()
	key.CreatedAt, key.ExpiresAt, key.RevokedAt, key.LastUsedAt = r.at(), r.atOrZero(), r.atOrZero(), r.atOrZero()
	key.Scopes, err = authn.ParseScopes(strings.Fields(scopes))
	switch n := copy(key.Hash[:], hash); {
	case r.err != nil:
		return key, r.err
	case n != len(key.Hash) || n != len(hash):
		return key, fmt.Errorf("the hash of key %s has %d bytes", key.ID, len(hash))
	}
	return key, err
}

// readListedKey is readKey, where a key that cannot be read must not keep the list from the others.
func readListedKey(r *row) (authn.Key, error) {
	key, err := readKey(r)
	if err != nil {
		return authn.Key{ID: key.ID, Damage: err.Error()}, nil //nolint:nilerr // the key says it
	}
	return key, nil
}
