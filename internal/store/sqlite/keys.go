package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// AddKey is as authn.KeyStore says.
func (s *Store) AddKey(ctx context.Context, key authn.Key) error {
	args := []any{
		key.ID, key.Hash[:],
		sql.NullString{String: key.Account, Valid: !key.Backend},
		key.Prefix, strings.Join(key.Scopes.Names(), " "),
		key.CreatedAt.UnixMicro(), microsOrNull(key.ExpiresAt), microsOrNull(key.RevokedAt), microsOrNull(key.LastUsedAt),
	}
	return s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		added, err := affects(ctx, on.addKey, args)
		if err == nil && !added {
			return authn.ErrKeyExists, nil
		}
		return nil, err
	})
}

// RevokeKey is as authn.KeyStore says.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	return s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		found, err := affects(ctx, on.revokeKey, []any{at.UnixMicro(), id})
		if err == nil && !found {
			return authn.ErrNoKey, nil
		}
		return nil, err
	})
}

// KeysUsed is as authn.KeyStore says.
func (s *Store) KeysUsed(ctx context.Context, last map[string]time.Time) error {
	return s.writer.do(ctx, func(ctx context.Context, on *statements) (refusal, failure error) {
		for id, at := range last {
			if _, err := affects(ctx, on.useKey, []any{now().UnixMicro(), at.UnixMicro(), id}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// KeyByID is as authn.KeyStore says.
func (s *Store) KeyByID(ctx context.Context, id string) (authn.Key, error) {
	if err := s.health.refusal(); err != nil {
		return authn.Key{}, err
	}
	switch key, err := lookUp(ctx, s.writer, (*lookups).findingKey, scanKey, id); {
	case errors.Is(err, sql.ErrNoRows):
		return authn.Key{}, authn.ErrNoKey
	case err != nil:
		return authn.Key{}, s.readError("look up an API key", err)
	default:
		return key, nil
	}
}

// ListKeys is as authn.KeyStore says.
func (s *Store) ListKeys(ctx context.Context) ([]authn.Key, error) {
	keys, err := list(ctx, s, "list the API keys", s.read.listKeys, scanListedKey)
	if isDamage(err) {
		return s.listKeysSingly(ctx)
	}
	return keys, err
}

func scanKey(from scanner) (key authn.Key, err error) {
	var hash []byte
	var account sql.NullString
	var scopes string
	var created int64
	var expires, revoked, used sql.NullInt64
	err = from.Scan(&key.ID, &hash, &account, &key.Prefix, &scopes, &created, &expires, &revoked, &used)
	if err != nil {
		return authn.Key{}, err
	}
	if copy(key.Hash[:], hash) != len(key.Hash) {
		return authn.Key{}, fmt.Errorf("the hash of key %s has %d bytes", key.ID, len(hash))
	}
	key.Account, key.Backend = account.String, !account.Valid
	key.CreatedAt = time.UnixMicro(created).UTC()
	key.ExpiresAt, key.RevokedAt, key.LastUsedAt = timeOrZero(expires), timeOrZero(revoked), timeOrZero(used)
	key.Scopes, err = authn.ParseScopes(strings.Fields(scopes))
	return key, err
}
