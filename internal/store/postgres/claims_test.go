package postgres_test

import (
	"os"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// A store of the first schema knows after its migration which account has which device; a damaged body claims nothing.
func TestMigrateClaims(t *testing.T) {
	script, err := os.ReadFile("migrations/0001_start.sql")
	if err != nil {
		t.Fatal(err)
	}
	url := server.Database(t)
	statements := []string{
		string(script), "CREATE TABLE pimsd_schema (version integer NOT NULL)", "INSERT INTO pimsd_schema VALUES (1)",
	}
	for account, body := range map[string]string{
		"alice": `{"schema":1,"serial":"phone/_/1","device":{"identity":{}}}  `, "bob": `{"serial":"phone/_/1","device":{}}`,
		"carol": `{"serial":"phone/_/2"}`, "dave": `{"serial":"phone/_/3","enrolment":{}}`, "erin": `damaged`, "frank": "",
	} {
		statements = append(statements, "INSERT INTO device VALUES ('"+account+"', 1, false, NULL, '"+body+"', '')")
	}
	server.Exec(t, url.Reveal(), statements...)
	rows, err := open(t, url).List(t.Context(), "", 10)
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
