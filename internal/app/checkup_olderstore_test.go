package app

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// Of a store that the service would migrate first, the check fails the keys with which the service would not start: also where the store
// is older than the record of its sealing key.
func TestSealingKeysOfAnOlderStore(t *testing.T) {
	server := pgtest.New(t)
	for name, older := range map[string]func(*testing.T, *config.Config) (downgrade func(to string)){
		"sqlite": func(t *testing.T, c *config.Config) func(string) {
			t.Helper()
			return func(script string) { runSQLite(t, filepath.Join(c.DataDir, sqlite.FileName), script) }
		},
		"postgres": func(t *testing.T, c *config.Config) func(string) {
			t.Helper()
			c.DatabaseURL = server.Database(t)
			return func(script string) { runPostgres(t, c.DatabaseURL.Reveal(), script) }
		},
	} {
		for version, script := range downgrades()[name] {
			t.Run(name+"/"+version, func(t *testing.T) {
				c := goodConfig(t)
				downgrade := older(t, c)
				own := newKey(t)
				c.Seal.Keys = own
				makeSealedStore(t, c)
				downgrade(script)
				c.Seal.Keys = newKey(t)
				expectStart(t, c, theKeys)
				downgrade(script) // the service has migrated it
				c.Seal.Keys = own
				expectStart(t, c, "")
			})
		}
	}
}

// downgrades returns scripts that bring a store of this version to an older one.
func downgrades() map[string]map[string]string {
	return map[string]map[string]string{
		"sqlite": {
			"the last": "ALTER TABLE device DROP COLUMN disabled; PRAGMA user_version = 6;",
			"before the record of the key": `ALTER TABLE device DROP COLUMN disabled; DROP INDEX device_epoch;
				ALTER TABLE device DROP COLUMN epoch; DROP TABLE doubt_epoch; DROP TABLE former_device; DROP TABLE store;
				DROP TABLE sealing_key; PRAGMA user_version = 2;`,
		},
		"postgres": {
			"the last": "ALTER TABLE device DROP COLUMN disabled; UPDATE pimsd_schema SET version = 6;",
			"before the record of the key": `ALTER TABLE device DROP COLUMN disabled, DROP COLUMN epoch;
				DROP TABLE doubt_epoch, former_device, sealing_key; DROP SEQUENCE audit_id;
				ALTER TABLE house ADD COLUMN audit_base bigint NOT NULL DEFAULT 0; UPDATE pimsd_schema SET version = 2;`,
		},
	}
}

func makeSealedStore(t *testing.T, c *config.Config) {
	t.Helper()
	core, err := OpenCore(t.Context(), c, true, Observers{})
	if err != nil {
		t.Fatal(err)
	}
	err = seal.New(core.Store, core.Keyring).Create(t.Context(), otp.Write{
		ID:         "write",
		Row:        otp.Row{Account: "alice", Revision: 1, Body: []byte("{}"), Secrets: secret.NewBytes([]byte("secrets"))},
		AuditEntry: otp.AuditEntry{At: time.Now(), Account: "alice", Caller: "test", Action: "enroll", Stage: "outcome"},
	})
	if err := errors.Join(err, core.Close()); err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) secret.Text {
	t.Helper()
	key, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Text()
}

func runSQLite(t *testing.T, path, script string) {
	t.Helper()
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

func runPostgres(t *testing.T, url, script string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), script)
	if err := errors.Join(err, conn.Close(context.WithoutCancel(t.Context()))); err != nil {
		t.Fatal(err)
	}
}
