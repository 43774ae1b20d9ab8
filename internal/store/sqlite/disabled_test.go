package sqlite

import (
	"path/filepath"
	"testing"
)

// A store of the schema before knows after its migration which accounts are disabled, also those of damaged records.
func TestMigrateDisabled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	path, err := findOrMakeDatabase(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := builtIn()[:6].bringUpToDate(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
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
	err = withConn(t.Context(), path, standardPragmas(), func(c *conn) error {
		for i, b := range bodies {
			const insert = `INSERT INTO device (account, revision, in_doubt, body, vault) VALUES (char(65 + ?), 1, 0, ?, x'')`
			if _, err := c.exec(insert, i, []byte(b.body)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := openWith(t, dir, builtIn()).List(t.Context(), "", 10)
	if err != nil || len(rows) != len(bodies) {
		t.Fatalf("%d rows are listed (%v)", len(rows), err)
	}
	for i, b := range bodies {
		if rows[i].Disabled != b.want {
			t.Errorf("%q: disabled is %v", b.body, rows[i].Disabled)
		}
	}
}
