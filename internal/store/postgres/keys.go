package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/authn"
)

const keyColumns = `id, hash, account, prefix, scopes, created_at, expires_at, revoked_at, last_used_at`

// AddKey is as authn.KeyStore says.
func (s *Store) AddKey(ctx context.Context, key authn.Key) error {
	const statement = `INSERT INTO api_key (` + keyColumns + `)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE ` + ownSession + ` ON CONFLICT (id) DO NOTHING`
	return s.execOne(ctx, "store an API key", authn.ErrKeyExists, statement, keyArgs(key)...)
}

// keyArgs are the values of keyColumns.
func keyArgs(key authn.Key) []any {
	var account *string
	if !key.Backend {
		account = &key.Account
	}
	return []any{
		key.ID, key.Hash[:], account, key.Prefix, strings.Join(key.Scopes.Names(), " "),
		key.CreatedAt.UnixMicro(), microsOrNull(key.ExpiresAt), microsOrNull(key.RevokedAt), microsOrNull(key.LastUsedAt),
	}
}

// RevokeKey is as authn.KeyStore says.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	// The version is drawn as the trigger does, which may be missing.
	const statement = `WITH drawn AS (UPDATE keys_version SET version = 1 + (random() * 9e18)::bigint)
		UPDATE api_key SET revoked_at = coalesce(revoked_at, $1) WHERE id = $2 AND ` + ownSession
	return s.execOne(ctx, "revoke an API key", authn.ErrNoKey, statement, at.UnixMicro(), id)
}

// CheckKeys is as authn.KeyStore says.
func (s *Store) CheckKeys(ctx context.Context) error {
	return s.do(ctx, s.limits.others, "look for the trigger of the API keys", checkKeysVersion)
}

// execOne runs a statement that changes one row, and returns none when there was no row to change.
func (s *Store) execOne(ctx context.Context, what string, none error, statement string, args ...any) error {
	changed, err := s.execCount(ctx, s.limits.others, what, statement, args...)
	if err == nil && changed == 0 {
		return none
	}
	return err
}

// KeysUsed is as authn.KeyStore says.
func (s *Store) KeysUsed(ctx context.Context, last map[string]time.Time) error {
	var ids []string
	var moments []int64
	for id, at := range last {
		ids, moments = append(ids, id), append(moments, at.UnixMicro())
	}
	// Replicas that note the same keys at once take the rows in one order, so that no two wait for each other.
	const statement = `UPDATE api_key SET last_used_at = greatest(used.at, CASE WHEN last_used_at <= ` + clock + ` THEN last_used_at END) FROM
		(SELECT api_key.id, new.at FROM unnest($1::text[], $2::bigint[]) AS new (id, at) JOIN api_key USING (id)
			ORDER BY api_key.id FOR UPDATE OF api_key) AS used
		WHERE api_key.id = used.id`
	return s.exec(ctx, s.limits.others, "note the use of API keys", statement, ids, moments)
}

// KeyByID is as authn.KeyStore says.
func (s *Store) KeyByID(ctx context.Context, id string) (authn.Key, authn.Version, error) {
	if id == "" {
		return authn.Key{}, 0, authn.ErrNoKey
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	task, err := s.reads.do(ctx, readTask{keyID: id})
	switch {
	case err != nil:
		return authn.Key{}, 0, describe("look up an API key", err)
	case task.apiKey == nil:
		return authn.Key{}, 0, authn.ErrNoKey
	}
	return *task.apiKey, task.keysVersion, nil
}

// ListKeys is as authn.KeyStore says.
func (s *Store) ListKeys(ctx context.Context) ([]authn.Key, error) {
	const statement = `SELECT ` + keyColumns + ` FROM api_key ORDER BY created_at, id`
	keys, err := query(ctx, s, s.limits.others, "list the API keys", scanListedKey, statement)
	if isDamage(err) {
		return s.listKeysPast(ctx)
	}
	return keys, err
}

// scanListedKey returns a key that cannot be read with its ID and its Damage.
func scanListedKey(from pgx.CollectableRow) (authn.Key, error) {
	row := keyRow{}
	if err := from.Scan(row.columns()...); err != nil {
		return authn.Key{}, err
	}
	key, err := row.key()
	if err != nil {
		return authn.Key{ID: row.id, Damage: err.Error()}, nil //nolint:nilerr // the key carries it
	}
	return key, nil
}

// scanKey reads keyColumns and the version of the keys.
func scanKey(from pgx.CollectableRow) (key authn.Key, version authn.Version, err error) {
	row := keyRow{}
	if err := from.Scan(append(row.columns(), &version)...); err != nil {
		return authn.Key{}, 0, err
	}
	key, err = row.key()
	return key, version, err
}

// keyRow has the values of keyColumns.
type keyRow struct {
	id, prefix, scopes     string
	hash                   []byte
	account                *string
	created                int64
	expires, revoked, used *int64
}

func (r *keyRow) columns() []any {
	return []any{&r.id, &r.hash, &r.account, &r.prefix, &r.scopes, &r.created, &r.expires, &r.revoked, &r.used}
}

func (r *keyRow) key() (authn.Key, error) {
	key := authn.Key{
		ID: r.id, CreatedAt: time.UnixMicro(r.created).UTC(),
		ExpiresAt: timeOrZero(r.expires), RevokedAt: timeOrZero(r.revoked), LastUsedAt: timeOrZero(r.used),
	}
	if copy(key.Hash[:], r.hash) != len(key.Hash) {
		return authn.Key{}, fmt.Errorf("the hash of key %s has %d bytes", r.id, len(r.hash))
	}
	key.Prefix = r.prefix
	if key.Backend = r.account == nil; !key.Backend {
		key.Account = *r.account
	}
	var err error
	key.Scopes, err = authn.ParseScopes(strings.Fields(r.scopes))
	return key, err
}
