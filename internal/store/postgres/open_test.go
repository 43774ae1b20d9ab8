package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

func TestOpenRefusesWhatIsNotDurable(t *testing.T) {
	url := server.Database(t)
	open(t, url)
	server.Exec(t, url.Reveal(), "CREATE ROLE loose LOGIN SUPERUSER", "ALTER ROLE loose SET synchronous_commit = off")
	loose := secret.NewText(strings.Replace(url.Reveal(), "pimsd@", "loose@", 1))
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: loose}); err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("%v", err)
	}
	asked := secret.NewText(url.Reveal() + "&options=-c%20synchronous_commit%3Doff")
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: asked}); err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("asked for by the URL: %v", err)
	}
}

func TestOpenMakesNothingForACommand(t *testing.T) {
	url := server.Database(t)
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: url}); !errors.Is(err, otp.ErrNoStore) {
		t.Errorf("%v; want otp.ErrNoStore", err)
	}
	open(t, url)
	store, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Writable(t.Context()), store.Close()); err != nil {
		t.Error(err)
	}
}

// Check refuses what OpenOrCreate refuses, and leaves the database as it is.
func TestCheckRefusesWhatOpenOrCreateRefuses(t *testing.T) {
	made := server.Database(t)
	open(t, made)
	admin := made.Reveal()
	server.Exec(t, admin, "CREATE ROLE limited LOGIN", "GRANT ALL ON ALL TABLES IN SCHEMA public TO limited",
		"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited")
	limited := secret.NewText(strings.Replace(admin, "pimsd@", "limited@", 1))
	for _, broken := range append(tablesOf(t, admin), "audit_id") {
		kind := "TABLE"
		if broken == "audit_id" {
			kind = "SEQUENCE"
		}
		server.Exec(t, admin, "REVOKE ALL ON "+kind+" "+broken+" FROM limited")
		expectBothRefuse(t, "without rights on "+broken, limited)
		server.Exec(t, admin, "GRANT ALL ON "+kind+" "+broken+" TO limited")
	}
	if err := postgres.Check(t.Context(), postgres.Options{URL: limited}); err != nil {
		t.Errorf("with all rights: %v", err)
	}
	server.Exec(t, admin, "UPDATE pimsd_schema SET version = version - 1")
	expectBothRefuse(t, "an older schema of another owner", limited)
	if err := postgres.Check(t.Context(), postgres.Options{URL: made}); !errors.Is(err, otp.ErrOldSchema) {
		t.Errorf("an older schema: %v", err)
	}

	empty := server.Database(t)
	server.Exec(t, empty.Reveal(), "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	limited = secret.NewText(strings.Replace(empty.Reveal(), "pimsd@", "limited@", 1))
	expectBothRefuse(t, "no right to make tables", limited)
	expectBothRefuse(t, "no schema to make tables in", secret.NewText(empty.Reveal()+"&search_path=elsewhere"))
	if err := postgres.Check(t.Context(), postgres.Options{URL: empty}); !errors.Is(err, otp.ErrNoStore) {
		t.Errorf("an empty database: %v", err)
	}
	if left := tablesOf(t, empty.Reveal()); len(left) > 0 {
		t.Errorf("Check has left %q", left)
	}
}

func expectBothRefuse(t *testing.T, what string, url secret.Text) {
	t.Helper()
	if err := postgres.Check(t.Context(), postgres.Options{URL: url}); err == nil || errors.Is(err, otp.ErrNoStore) || errors.Is(err, otp.ErrOldSchema) {
		t.Errorf("%s: Check says %v", what, err)
	}
	store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: url})
	if err == nil {
		_ = store.Close()
		t.Errorf("%s: OpenOrCreate refuses nothing", what)
	}
}

func tablesOf(t *testing.T, url string) (names []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	if err == nil {
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A database is found by every form that libpq knows: a URL or a list, with several hosts, and at a Unix socket.
func TestOpenByEveryFormOfURL(t *testing.T) {
	made := server.Database(t)
	open(t, made)
	u, err := url.Parse(made.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	name, port := strings.TrimPrefix(u.Path, "/"), u.Port()
	for form, text := range map[string]string{
		"several hosts": "postgres://pimsd@127.0.0.1:1,127.0.0.1:" + port + "/" + name + "?sslmode=disable",
		"a socket":      "postgres:///" + name + "?user=pimsd&host=" + server.Dir() + "&port=" + port,
		"a list":        "host=127.0.0.1 port=" + port + " user=pimsd dbname='" + name + "' sslmode=disable",
	} {
		checked, err := config.ParseDatabaseURL(text)
		if err != nil {
			t.Errorf("%s: database_url %v", form, err)
			continue
		}
		store, err := postgres.Open(t.Context(), postgres.Options{URL: checked})
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenNamesAFileThatIsMissing(t *testing.T) {
	_, err := postgres.Open(t.Context(), postgres.Options{URL: secret.NewText("postgres://u:hidden@127.0.0.1:1/d?sslmode=verify-full&sslrootcert=/no/such.pem")})
	if err == nil || !strings.Contains(err.Error(), "/no/such.pem") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
}

func TestOpenRefusesALaterSchema(t *testing.T) {
	url := server.Database(t)
	open(t, url)
	server.Exec(t, url.Reveal(), "UPDATE pimsd_schema SET version = 1000")
	if _, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: url}); err == nil || !strings.Contains(err.Error(), "written by a later pimsd") {
		t.Errorf("%v", err)
	}
}

func TestReplicasThatStartTogetherMakeOneSchema(t *testing.T) {
	url := server.Database(t)
	var replicas sync.WaitGroup
	for range 8 {
		replicas.Go(func() { open(t, url) })
	}
	replicas.Wait()
}

func TestOpenSaysWhatIsWrongWithoutThePassword(t *testing.T) {
	for name, url := range map[string]string{
		"nothing listens": "postgres://pimsd:canary@127.0.0.1:1/x?sslmode=disable",
		"no URL":          "postgres://pimsd:canary@127.0.0.1:port/x",
		"no such base":    strings.Replace(server.Database(t).Reveal(), "pimsd@", "pimsd:canary@", 1) + "&dbname=none",
		"a foreign word":  "canary",
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: secret.NewText(url)})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the server cannot have stored is told from what it may have.
func TestErrorsSayWhatMayBeStored(t *testing.T) {
	url := server.Database(t)
	store := open(t, url)
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, url.Reveal(), "ALTER TABLE audit ADD CHECK (outcome <> 'refused by the server')")
	refused := write(2)
	refused.AuditEntry.Outcome = "refused by the server"
	if err := store.Replace(t.Context(), refused); !errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("a statement that the server undid: %v; want ErrUntouched", err)
	}
	if row, _, err := store.Fetch(t.Context(), "a"); err != nil || row.Revision != 1 {
		t.Errorf("and the row has revision %d, %v", row.Revision, err)
	}
}

// write is that of the account "a" at the revision.
func write(revision uint64) otp.Write { return writeOf("a", revision) }

func writeOf(account otp.Account, revision uint64) otp.Write {
	return otp.Write{
		ID:         fmt.Sprintf("%s %d", account, revision),
		Row:        otp.Row{Account: account, Revision: revision, Body: []byte("{}")},
		AuditEntry: otp.AuditEntry{Account: account, Stage: otp.StageAttempt, Step: revision},
	}
}

// A server before PostgreSQL 12 lacks a setting that each connection makes. It is refused for its version, and no later one is.
func TestOpenRefusesAnOldServer(t *testing.T) {
	t.Parallel()
	for version, refused := range map[string]bool{"11.22 (Debian 11.22-0+deb10u2)": true, "12.0": false} {
		if err := openServerOf(t, version); err == nil || strings.Contains(err.Error(), "older than PostgreSQL 12") != refused {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// openServerOf opens a store on a server that says that it has the version, and knows no setting. It returns the error.
func openServerOf(t *testing.T, version string) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveVersion(conn, version)
		}
	}()
	_, err = postgres.Open(t.Context(), postgres.Options{URL: secret.NewText("postgres://pimsd@" + listener.Addr().String() + "/pimsd?sslmode=disable")})
	return err
}

// serveVersion answers as PostgreSQL 11 does, but for its version at the login: that it knows no plan_cache_mode.
func serveVersion(conn net.Conn, version string) {
	defer func() { _ = conn.Close() }()
	server := pgproto3.NewBackend(conn, conn)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return
	}
	server.Send(&pgproto3.AuthenticationOk{})
	server.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: version})
	server.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	for {
		server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := server.Flush(); err != nil {
			return
		}
		if _, err := server.Receive(); err != nil {
			return
		}
		server.Send(&pgproto3.ErrorResponse{
			Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42704",
			Message: `unrecognized configuration parameter "plan_cache_mode"`,
		})
	}
}

// Two schemas of one database are two stores.
func TestNameOfSchemas(t *testing.T) {
	t.Parallel()
	name := func(parameters string) string {
		return postgres.NameOf(postgres.Options{URL: secret.NewText("postgres://pimsd@db/pimsd?sslmode=disable" + parameters)})
	}
	if same := name("&application_name=a"); same != name("") || same == "" {
		t.Errorf("one store has the names %q and %q", same, name(""))
	}
	names := map[string]bool{}
	for _, parameters := range []string{"", "&search_path=a", "&search_path=b", "&options=-csearch_path%3Dc"} {
		names[name(parameters)] = true
	}
	if len(names) != 4 {
		t.Errorf("four stores have %d names", len(names))
	}
}
