package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// toSchema6 are statements that undo the later migrations.
func toSchema6() []string {
	return []string{
		"CREATE INDEX device_in_doubt ON device (account) WHERE in_doubt",
		"DROP FUNCTION draw_keys_version CASCADE", "DROP TABLE keys_version", "ALTER TABLE device DROP COLUMN disabled",
		"UPDATE pimsd_schema SET version = 6",
	}
}

// A store is migrated after what is to happen before has, and not where that has failed.
func TestBeforeMigration(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	open(t, url).Close()
	server.Exec(t, url.Reveal(), toSchema6()...)
	failure := errors.New("the test does not let it")
	for _, before := range []error{failure, nil} {
		store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: url, BeforeMigration: func(context.Context) error { return before }})
		if !errors.Is(err, before) {
			t.Fatalf("before the migration: %v; opening it: %v", before, err)
		}
		if version := count(t, url, "SELECT version FROM pimsd_schema"); (version == 6) != (before != nil) {
			t.Errorf("before the migration: %v; after it the version is %d", before, version)
		}
		if err == nil {
			store.Close()
		}
	}
}

// A store of an earlier schema knows after its migration which accounts are disabled, also those of damaged records.
func TestMigrateDisabled(t *testing.T) {
	url := server.Database(t)
	open(t, url).Close()
	bodies := []struct {
		body string
		want bool
	}{
		{"\xa2\x66schema\x01\x68disabled\xf5", true},
		{"\xa2\x66schema\x01\x68disabled\xf4", false},
		{"\xa1\x66schema\x01", false},
		{`{"schema":1,"disabled":true,"step":1}`, true},
		{`{"schema":1,"service":"\"disabled\":true"}`, false},
		{"\x00\x68disabled\xf5\x68damage", true},
		{`{"disabled":true,"da`, true},
		{"", false},
	}
	statements := toSchema6()
	for i, b := range bodies {
		statements = append(statements, fmt.Sprintf(
			"INSERT INTO device (account, revision, in_doubt, body, vault) VALUES ('%c', 1, false, decode('%x', 'hex'), '')", 'A'+i, b.body))
	}
	server.Exec(t, url.Reveal(), statements...)
	rows, err := open(t, url).List(t.Context(), "", 10)
	if err != nil || len(rows) != len(bodies) {
		t.Fatalf("%d rows are listed (%v)", len(rows), err)
	}
	for i, b := range bodies {
		if rows[i].Disabled != b.want {
			t.Errorf("%q: disabled is %v", b.body, rows[i].Disabled)
		}
	}
}

// The owner of the tables migrates them with the rights that Check asks for: CREATE on their schema, and CONNECT.
func TestMigrationNeedsTheRightsThatCheckAsksFor(t *testing.T) {
	url := server.Database(t)
	open(t, url).Close()
	server.Exec(t, url.Reveal(), toSchema6()...)
	statements := []string{
		`INSERT INTO device (account, revision, in_doubt, body, vault) VALUES ('a', 1, false, '{"disabled":true}', '')`,
		"CREATE ROLE migrator LOGIN", "GRANT ALL ON SCHEMA public TO migrator",
		"DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); " +
			"EXECUTE format('GRANT CONNECT ON DATABASE %I TO migrator', current_database()); END $$",
	}
	tables := tablesOf(t, url.Reveal())
	for _, table := range tables {
		statements = append(statements, "ALTER TABLE "+table+" OWNER TO migrator")
	}
	server.Exec(t, url.Reveal(), append(statements, "ALTER SEQUENCE audit_id OWNER TO migrator")...)
	migrator := secret.NewText(strings.Replace(url.Reveal(), "pimsd@", "migrator@", 1))
	for _, table := range tables {
		server.Exec(t, url.Reveal(), "ALTER TABLE "+table+" OWNER TO pimsd")
		if err := postgres.Check(t.Context(), postgres.Options{URL: migrator}); err == nil || errors.Is(err, otp.ErrOldSchema) {
			t.Errorf("another owner of %s: Check says %v", table, err)
		}
		server.Exec(t, url.Reveal(), "ALTER TABLE "+table+" OWNER TO migrator")
	}
	if err := postgres.Check(t.Context(), postgres.Options{URL: migrator}); !errors.Is(err, otp.ErrOldSchema) {
		t.Fatal(err)
	}
	rows, err := open(t, migrator).List(t.Context(), "", 1)
	if err != nil || !rows[0].Disabled {
		t.Errorf("%+v (%v)", rows, err)
	}
}

// A migration that must wait for a session which reads a table for long, as pg_dump does, keeps no replica from its writes, and goes on
// when that session ends.
func TestMigrationBehindAReader(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	running := open(t, url)
	if err := running.Create(t.Context(), writeOf("a", 1)); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, url.Reveal(), toSchema6()...)
	reader, err := pgx.Connect(t.Context(), url.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	if _, err := reader.Exec(t.Context(), "BEGIN; SELECT FROM device"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() {
		store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: url})
		if err == nil {
			err = store.Close()
		}
		migrated <- err
	}()
	waitForCount(t, url, 1, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	for range 3 {
		if err := running.Writable(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := reader.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}
