package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// A store of the first schema knows after its migration which account has which device; a damaged body claims nothing.
func TestMigrateClaims(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	path, err := findOrMakeDatabase(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := builtIn()[:1].bringUpToDate(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO device VALUES (?, 1, 0, NULL, CAST(? AS BLOB), x'00')`
	err = withConn(t.Context(), path, standardPragmas(), func(c *conn) error {
		for account, body := range map[string]string{
			"alice": `{"schema":1,"serial":"phone/_/1","device":{"identity":{}}}  `, "bob": `{"serial":"phone/_/1","device":{}}`,
			"carol": `{"serial":"phone/_/2"}`, "dave": `{"serial":"phone/_/3","enrolment":{}}`, "erin": `damaged`, "frank": "",
		} {
			if _, err := c.exec(insert, account, body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := openWith(t, dir, builtIn()).List(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []otp.Claim{
		{Serial: "phone/_/1", Active: true}, {Serial: "phone/_/1"}, {Serial: "phone/_/2"}, {Serial: "phone/_/3", Active: true}, {}, {},
	} {
		if rows[i].Claim != want {
			t.Errorf("the claim of %s is %+v, want %+v", rows[i].Account, rows[i].Claim, want)
		}
	}
}

// A write of a claim that the row has lost since, because it was deleted, is not taken for stored when it is repeated: another
// account may have the device by now.
func TestRepeatedClaimOfADeletedRow(t *testing.T) {
	t.Parallel()
	s := openWith(t, oldStore(t), builtIn())
	claim := &otp.Claim{Serial: "phone/_/1", Active: true}
	enrolled, other := benchWrite(2, 1), benchWrite(3, 1)
	enrolled.Claim, other.Claim = claim, claim
	if err := s.Create(t.Context(), enrolled); err != nil {
		t.Fatal(err)
	}
	execute(t, s, "DELETE FROM device WHERE account = ?", string(enrolled.Row.Account))
	if err := s.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), enrolled); !errors.Is(err, otp.ErrDeviceTaken) {
		t.Errorf("the repeat: %v; want ErrDeviceTaken", err)
	}
}
