package postgres_test

import (
	"fmt"
	"testing"
)

// A store of the schema before knows after its migration which accounts are disabled, also those of damaged records.
func TestMigrateDisabled(t *testing.T) {
	url := server.Database(t)
	open(t, url).Close() //nolint:errcheck // it has made the tables
	bodies := []struct {
		body string
		want bool
	}{
		{"\xa2\x66schema\x01\x68disabled\xf5", true}, {"\xa2\x66schema\x01\x68disabled\xf4", false}, {"\xa1\x66schema\x01", false},
		{`{"schema":1,"disabled":true,"step":1}`, true}, {`{"schema":1,"service":"\"disabled\":true"}`, false},
		{"\x00\x68disabled\xf5\x68damage", true}, {`{"disabled":true,"da`, true}, {"", false},
	}
	statements := []string{"ALTER TABLE device DROP COLUMN disabled", "UPDATE pimsd_schema SET version = 6"}
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
