package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// Of a store that the service would migrate first, the check fails the keys with which the service would not start: also where the store
// is older than the record of its sealing key, which came with version 3 of the schema.
func TestSealingKeysOfAnOlderStore(t *testing.T) {
	server := pgtest.New(t)
	for name, makeStore := range map[string]func(*testing.T, *config.Config, int){
		"sqlite": makeOlderSQLite,
		"postgres": func(t *testing.T, c *config.Config, version int) {
			t.Helper()
			c.DatabaseURL = server.Database(t)
			makeOlderPostgres(t, c, version)
		},
	} {
		for _, version := range []int{2, 6} {
			for keys, broken := range map[string]string{"its keys": "", "other keys": theKeys} {
				t.Run(fmt.Sprintf("%s/version %d/%s", name, version, keys), func(t *testing.T) {
					c := goodConfig(t)
					c.Seal.Keys = newKey(t)
					makeStore(t, c, version)
					if broken != "" {
						c.Seal.Keys = newKey(t)
					}
					expectStart(t, c, broken)
					checks := map[string]error{"sqlite": sqlite.Check(t.Context(), c.DataDir)}
					if name == "postgres" {
						checks[name] = postgres.Check(t.Context(), databaseOf(c))
					}
					if migrated := checks[name] == nil; migrated != (broken == "") {
						t.Errorf("the store was migrated: %t, which its check says by %v", migrated, checks[name])
					}
				})
			}
		}
	}
}

func makeOlderSQLite(t *testing.T, c *config.Config, version int) {
	t.Helper()
	if err := os.Mkdir(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	conn, err := zombiezen.OpenConn(filepath.Join(c.DataDir, sqlite.FileName), zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	vault, key := sealedSecrets(t, c)
	script := migrationsUpTo(t, "sqlite", version) + fmt.Sprintf(`INSERT INTO device (account, revision, in_doubt, body, vault)
		VALUES ('alice', 1, 0, x'7b7d', x'%x'); PRAGMA user_version = %d;`, vault, version)
	if version >= 3 {
		script += fmt.Sprintf("INSERT INTO sealing_key VALUES (1, '%s');", key)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(c.DataDir, sqlite.FileName), 0o600); err != nil {
		t.Fatal(err)
	}
}

func makeOlderPostgres(t *testing.T, c *config.Config, version int) {
	t.Helper()
	vault, key := sealedSecrets(t, c)
	script := fmt.Sprintf("CREATE TABLE pimsd_schema (version integer NOT NULL); INSERT INTO pimsd_schema VALUES (%d);", version) +
		migrationsUpTo(t, "postgres", version) + fmt.Sprintf(`INSERT INTO device (account, revision, in_doubt, body, vault)
		VALUES ('alice', 1, false, '\x7b7d', '\x%x');`, vault)
	if version >= 3 {
		script += fmt.Sprintf("INSERT INTO sealing_key VALUES (1, '%s');", key)
	}
	conn, err := pgx.Connect(t.Context(), c.DatabaseURL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), script)
	if err := errors.Join(err, conn.Close(context.WithoutCancel(t.Context()))); err != nil {
		t.Fatal(err)
	}
}

// migrationsUpTo returns the scripts that make a store of that version.
func migrationsUpTo(t *testing.T, kind string, version int) string {
	t.Helper()
	names, err := filepath.Glob("../store/" + kind + "/migrations/*.sql") // in their order
	if err != nil || len(names) <= version {
		t.Fatalf("there are the migrations %v (%v)", names, err)
	}
	var script strings.Builder
	for _, name := range names[:version] {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		script.Write(text)
	}
	return script.String()
}

// sealedSecrets returns secrets that are sealed under the configured key, and the name of that key.
func sealedSecrets(t *testing.T, c *config.Config) (vault []byte, key seal.KeyID) {
	t.Helper()
	keyring, err := OpenKeyring(c)
	if err != nil {
		t.Fatal(err)
	}
	memory := storetest.NewMemory()
	err = seal.New(memory, keyring).Create(t.Context(), otp.Write{
		ID:         "write",
		Row:        otp.Row{Account: "alice", Revision: 1, Body: []byte("{}"), Secrets: secret.NewBytes([]byte("secrets"))},
		AuditEntry: otp.AuditEntry{At: time.Now(), Account: "alice", Caller: "test", Action: "enroll", Stage: otp.StageOutcome},
	})
	if err != nil {
		t.Fatal(err)
	}
	row, _, err := memory.Fetch(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	return row.Secrets.Reveal(), keyring.Current()
}

func newKey(t *testing.T) secret.Text {
	t.Helper()
	key, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Text()
}
