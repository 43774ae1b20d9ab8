package pimsdtest_test

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// None of the secrets is in anything that a PostgreSQL server keeps — tables, write-ahead log, its own log — though that one
// is told to log every statement with its parameters.
func TestNoSecretEscapesToPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	root := server.URL("postgres")
	server.Exec(t, root, "ALTER SYSTEM SET log_statement = 'all'")
	server.Exec(t, root, "SELECT pg_reload_conf()")
	o := runScenario(t, keptBy(server))
	o.daemon.Stop()
	server.Exec(t, root, "CHECKPOINT")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"data/base", "data/pg_wal"} {
		if !strings.Contains(everyFile(t, filepath.Join(server.Dir(), folder)), o.account.Name) {
			t.Errorf("the records are not in the server's folder %s", folder)
		}
	}
	delete(o.secrets, "the serial")                       // is in records: it opens nothing
	parameter := hex.EncodeToString([]byte("\x66schema")) // a name in CBOR, as the log shows that which is a record
	o.secrets.escaped(t, "the server's files", everyFile(t, server.Dir()), parameter)
}
