package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// What a store has of an account is what it was given of it, and no account is added over another one.
func TestContentsOfAccount(t *testing.T) {
	store := open(t, server.Database(t))
	if _, err := store.AccountContents(t.Context(), "alice"); !errors.Is(err, otp.ErrNotFound) {
		t.Errorf("of an account that is not there: %v", err)
	}
	given := postgres.AccountContents{
		Row: otp.Row{
			Account: "alice", Revision: 3, Body: []byte("{}"), Secrets: secret.NewBytes([]byte("keys")), Epoch: 1,
			Claim: otp.Claim{Serial: "new", Active: true},
		},
		Former:  []otp.Row{{Account: "alice", Revision: 2, Body: []byte("[]"), Claim: otp.Claim{Serial: "old"}, Former: true}},
		Answers: []postgres.KeptAnswer{{Key: strings.Repeat("a", 64), At: 5, IsOTP: true, Fingerprint: []byte("f"), Answer: []byte("a")}},
	}
	entry := otp.AuditEntry{Account: "alice", Action: "move", Stage: otp.StageOutcome}
	if err := store.AddAccount(t.Context(), given, entry); err != nil {
		t.Fatal(err)
	}
	if err := store.AddAccount(t.Context(), given, entry); !errors.Is(err, otp.ErrExists) {
		t.Errorf("an account that is there: %v", err)
	}
	other := given
	other.Row.Account = "bob"
	if err := store.AddAccount(t.Context(), other, entry); !errors.Is(err, otp.ErrDeviceTaken) {
		t.Errorf("an account with the device of another: %v", err)
	}
	got, err := store.AccountContents(t.Context(), "alice")
	if err != nil || got.Row.Revision != 3 || got.Row.Claim != given.Row.Claim || string(got.Row.Secrets.Reveal()) != "keys" {
		t.Errorf("the row is %+v (%v)", got.Row, err)
	}
	if len(got.Former) != 1 || got.Former[0].Claim.Serial != "old" || !got.Former[0].Former {
		t.Errorf("its former devices are %+v", got.Former)
	}
	if len(got.Answers) != 1 || got.Answers[0].Key != strings.Repeat("a", 64) || string(got.Answers[0].Answer) != "a" {
		t.Errorf("its stored responses are %+v", got.Answers)
	}
	if lines, err := store.AuditAfter(t.Context(), 0, 10); err != nil || len(lines) != 1 {
		t.Errorf("the audit log has %d entries (%v), want that of the account that was added", len(lines), err)
	}
}

// What seals a store is known of a schema from before there was a record of it, too.
func TestSealingKeyOfOlderStore(t *testing.T) {
	url := server.Database(t)
	store := open(t, url)
	if err := store.RecordSealingKey(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	contents := postgres.AccountContents{Row: otp.Row{Account: "alice", Revision: 1, Secrets: secret.NewBytes([]byte("keys"))}}
	if err := store.AddAccount(t.Context(), contents, otp.AuditEntry{Stage: otp.StageOutcome}); err != nil {
		t.Fatal(err)
	}
	older, err := postgres.OpenOlder(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := older.Close(); err != nil {
			t.Error(err)
		}
	})
	if name, err := older.SealingKey(t.Context()); err != nil || name != "key" {
		t.Errorf("the sealing key is %q (%v)", name, err)
	}
	rows, err := older.List(t.Context(), "", 10)
	if err != nil || len(rows) != 1 || rows[0].Account != "alice" || string(rows[0].Secrets.Reveal()) != "keys" {
		t.Errorf("the rows are %+v (%v)", rows, err)
	}
	server.Exec(t, url.Reveal(), "DROP TABLE sealing_key", "DROP TABLE device CASCADE")
	if name, err := older.SealingKey(t.Context()); err != nil || name != "" {
		t.Errorf("without a record, the sealing key is %q (%v)", name, err)
	}
	if _, err := older.List(t.Context(), "", 10); err == nil {
		t.Error("without a table of records, they are listed")
	}
	for _, bad := range []string{"postgres://%", server.URL("missing")} {
		if _, err := postgres.OpenOlder(t.Context(), postgres.Options{URL: secret.NewText(bad)}); err == nil {
			t.Errorf("%s is opened", bad)
		}
	}
}

// URLs of one database have one name: neither the user nor the order of the hosts matters. Those of another database have another.
func TestNameOfDatabase(t *testing.T) {
	t.Parallel()
	name := func(url string) string { return postgres.NameOf(postgres.Options{URL: secret.NewText(url)}) }
	one := name("postgres://alice:a@one:1,two:2/pimsd?sslmode=disable")
	if one == "" || one != name("postgres://bob:b@two:2,one:1/pimsd?sslmode=require") {
		t.Errorf("the names are %q and %q", one, name("postgres://bob:b@two:2,one:1/pimsd?sslmode=require"))
	}
	if other := name("postgres://alice:a@one:1/pimsd?sslmode=disable"); other == one {
		t.Errorf("other hosts have the name %q, too", other)
	}
	if bad := name("postgres://%"); bad != "" {
		t.Errorf("a URL that is not understood has the name %q", bad)
	}
}
