package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// Check returns why OpenOrCreate would refuse the database, and leaves the database as it is. otp.ErrNoStore means that OpenOrCreate would
// make the store, and otp.ErrOldSchema that it would migrate it.
func Check(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	store, err := open(ctx, o, builtIn().try)
	if err != nil {
		return err
	}
	return errors.Join(store.Writable(ctx), store.Close())
}

// errRollback ends a transaction that only tries something.
var errRollback = errors.New("nothing was done")

// try returns why bringUpToDate would fail. An empty database gets its tables in a transaction that is rolled back. The tables of a store
// that exists are not migrated on trial, because other replicas may use them.
func (m migrations) try(ctx context.Context, conn *pgx.Conn) error {
	unusable := m.check(ctx, conn)
	if unusable != nil && !errors.Is(unusable, otp.ErrNoStore) && !errors.Is(unusable, otp.ErrOldSchema) {
		return unusable
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		switch {
		case errors.Is(unusable, otp.ErrNoStore):
			if err := m.migrate(ctx, tx); err != nil {
				return err
			}
		case errors.Is(unusable, otp.ErrOldSchema):
			if err := checkOwner(ctx, tx); err != nil {
				return err
			}
		default:
			if err := checkRights(ctx, tx); err != nil {
				return err
			}
		}
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		return err
	}
	return unusable
}

// tables are those that the service reads and writes.
func tables() []string {
	return []string{
		"pimsd_schema", "device", "former_device", "audit", "answer", "api_key", "house", "sealing_key", "doubt_epoch", "keys_version",
	}
}

// auditSequence returns the lines of the audit log their IDs.
const auditSequence = "audit_id"

// checkRights refuses a user who may not read and write all tables: calls would fail later, in the middle of a conversation.
func checkRights(ctx context.Context, tx pgx.Tx) error {
	const query = `SELECT coalesce(string_agg(DISTINCT name, ', '), '') FROM (
			SELECT name FROM unnest($1::text[]) AS name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
			WHERE NOT has_table_privilege(name, privilege)
			UNION ALL
			SELECT $2 FROM unnest(ARRAY['SELECT', 'USAGE', 'UPDATE']) AS privilege WHERE NOT has_sequence_privilege($2, privilege)
		) AS missing`
	var missing string
	if err := tx.QueryRow(ctx, query, tables(), auditSequence).Scan(&missing); err != nil {
		return err
	}
	if missing != "" {
		return fmt.Errorf("the user of database_url lacks a right on %s: GRANT ALL ON ALL TABLES IN SCHEMA … TO …, and so "+
			"ON ALL SEQUENCES, or grant it the role of their owner", missing)
	}
	return checkKeysVersion(ctx, tx.Conn())
}

// keysDrawn reports whether every change of an API key draws a new version of the keys.
const keysDrawn = `SELECT EXISTS (SELECT FROM keys_version) AND EXISTS (SELECT FROM pg_trigger
	WHERE tgrelid = 'api_key'::regclass AND tgname = 'key_changed' AND tgenabled IN ('O', 'A'))`

// checkKeysVersion refuses a database in which a change of an API key draws no new version of the keys, perhaps because only its tables
// were restored: a key that a person with a shell revokes would stay good for the callers that are known.
func checkKeysVersion(ctx context.Context, conn *pgx.Conn) error {
	var drawn bool
	if err := conn.QueryRow(ctx, keysDrawn).Scan(&drawn); err != nil {
		return err
	}
	if !drawn {
		return authn.ErrChangesUnnoticed
	}
	return nil
}

// checkOwner refuses a user who could not migrate the tables.
func checkOwner(ctx context.Context, tx pgx.Tx) error {
	const query = `SELECT bool_and(pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE'))
		FROM pg_class WHERE oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)`
	var may bool
	if err := tx.QueryRow(ctx, query, append(tables(), auditSequence)).Scan(&may); err != nil {
		return err
	}
	if !may {
		return errors.New("the user of database_url may not migrate the tables: grant it the role of their owner, and CREATE on their schema")
	}
	return nil
}
