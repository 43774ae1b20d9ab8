package postgres_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// A page of the disk is lost, and with it the large fields of some records. The other records are listed and used as before,
// and those are reported without a body, so that they can be forgotten or enrolled again.
func TestADamagedRecord(t *testing.T) {
	own := ownServer(t)
	database := own.Database(t)
	store := open(t, database)
	large := writeOf("large", 1)
	large.Row.Body, large.Row.Secrets = make([]byte, 8000), secret.NewBytes([]byte("vault"))
	_, _ = rand.Read(large.Row.Body) // it does not compress, and so it is stored apart from its row
	for _, w := range []otp.Write{writeOf("before", 1), large, writeOf("with", 1)} {
		if err := store.Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	var file string
	const path = `SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'device'`
	conn, err := pgx.Connect(t.Context(), database.Reveal())
	if err == nil {
		err = conn.QueryRow(t.Context(), path).Scan(&file)
	}
	if err == nil {
		err = conn.Close(t.Context())
	}
	if err == nil {
		err = own.Stop()
	}
	if err == nil {
		err = zero(filepath.Join(own.Dir(), "data", file))
	}
	if err == nil {
		err = own.StartAgain()
	}
	if err != nil {
		t.Fatal(err)
	}

	store = open(t, database) // the connections of the other are those of the server before

	var found []string
	rows, err := store.List(t.Context(), "", 10)
	for _, row := range rows {
		state := " is whole"
		if len(row.Body) == 0 {
			state = " is damaged"
		}
		found = append(found, string(row.Account)+state)
	}
	if got := strings.Join(found, ", "); err != nil || got != "before is whole, large is damaged, with is whole" {
		t.Errorf("the list has %q, %v", got, err)
	}
	row, _, err := store.Fetch(t.Context(), "large")
	if err != nil || row.Revision != 1 || len(row.Body) != 0 || !row.Secrets.IsEmpty() {
		t.Errorf("a damaged record is %+v, %v", row, err)
	}
	own.Exec(t, database.Reveal(), toSchema6()...)
	store = open(t, database) // which migrates: the damaged record may be that of an account that is disabled
	if rows, err := store.List(t.Context(), "", 10); err != nil || len(rows) != 3 || rows[0].Disabled || !rows[1].Disabled || rows[2].Disabled {
		t.Errorf("after the migration the list has %+v, %v", rows, err)
	}
	if err := store.Replace(t.Context(), writeOf("large", 2)); err != nil {
		t.Errorf("a damaged record is replaced: %v", err)
	}
	if row, _, err := store.Fetch(t.Context(), "large"); err != nil || string(row.Body) != "{}" {
		t.Errorf("and then it is %+v, %v", row, err)
	}
}

// zero overwrites a file with zeros, as large as it is.
func zero(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, make([]byte, info.Size()), 0o600)
}
