package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// spoil runs statements on a store that no process has open, without the checks of its schema.
func spoil(t *testing.T, dir, statements string) {
	t.Helper()
	err := withConn(t.Context(), filepath.Join(dir, FileName), standardPragmas(), func(c *conn) error {
		return c.script("PRAGMA ignore_check_constraints = 1; " + statements)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A row with values that it cannot have is listed as what can be read of it, and keeps no listing from the others.
func TestListingsWithADamagedRow(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := openWith(t, dir, builtIn())
	for caller := 1; caller < 4; caller++ {
		key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.UnixMicro(int64(caller)), time.Time{})
		key.ID = "key" + string(rune('0'+caller))
		if err = errors.Join(err, s.AddKey(t.Context(), key)); err != nil {
			t.Fatal(err)
		}
		w := benchWrite(caller, 1)
		w.Claim = &otp.Claim{Serial: string(w.Row.Account), Active: true}
		if err := s.Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	spoil(t, dir, `UPDATE device SET in_doubt = 7, unread_answers = 3 WHERE account = 'account 2';
		UPDATE audit SET step = -1 WHERE id = 2; UPDATE api_key SET scopes = 'root' WHERE id = 'key2'`)
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)

	rows, err := s.List(t.Context(), "", 10)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[1]; r.Account != "account 2" || r.Revision != 1 || len(r.Body) != 0 || r.UnreadAnswers != 3 || r.Claim.Serial != "account 2" || !r.Claim.Active {
		t.Errorf("the damaged row is %+v", r)
	}
	if len(rows[0].Body) == 0 || len(rows[2].Body) == 0 {
		t.Error("the others are not whole")
	}
	lines, err := s.AuditAfter(t.Context(), 0, 10)
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if l := lines[1]; l.ID != 2 || l.Damage == "" || l.Account != "account 2" || lines[0].Damage+lines[2].Damage != "" {
		t.Errorf("the lines are %+v", lines)
	}
	keys, err := s.ListKeys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	if k := keys[1]; k.ID != "key2" || k.Damage == "" || keys[0].Damage+keys[2].Damage != "" {
		t.Errorf("the keys are %+v", keys)
	}
	if _, _, err := s.KeyByID(t.Context(), "key2"); err == nil || errors.Is(err, authn.ErrNoKey) {
		t.Errorf("a damaged key is found: %v", err)
	}
	if err := s.RevokeKey(t.Context(), "key2", time.Now()); err != nil {
		t.Errorf("a damaged key is revoked: %v", err)
	}
	if err := s.Writable(t.Context()); err != nil {
		t.Error(err)
	}
}
