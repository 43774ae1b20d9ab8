package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// A line or a key with values that it cannot have is listed with its damage, and keeps no listing from the others.
func TestListingsWithADamagedRow(t *testing.T) {
	t.Parallel()
	database := server.Database(t)
	store := open(t, database)
	for n := range 3 {
		key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.UnixMicro(int64(n)), time.Time{})
		key.ID = "key" + string(rune('0'+n))
		if err = errors.Join(err, store.AddKey(t.Context(), key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.AppendAudit(t.Context(), []otp.AuditEntry{{Action: "one"}, {Action: "two"}, {Action: "three"}}); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, database.Reveal(), `ALTER TABLE audit DROP CONSTRAINT audit_step_check`,
		`UPDATE audit SET step = -1 WHERE action = 'two'`, `UPDATE api_key SET scopes = 'root' WHERE id = 'key1'`)
	lines, err := store.AuditAfter(t.Context(), 0, 10)
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if l := lines[1]; l.Action != "two" || l.Damage == "" || lines[0].Damage+lines[2].Damage != "" {
		t.Errorf("the lines are %+v", lines)
	}
	keys, err := store.ListKeys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	if k := keys[1]; k.ID != "key1" || k.Damage == "" || keys[0].Damage+keys[2].Damage != "" {
		t.Errorf("the keys are %+v", keys)
	}
	if _, _, err := store.KeyByID(t.Context(), "key1"); err == nil || errors.Is(err, authn.ErrNoKey) {
		t.Errorf("a damaged key is found: %v", err)
	}
	if err := store.RevokeKey(t.Context(), "key1", time.Now()); err != nil {
		t.Errorf("a damaged key is revoked: %v", err)
	}
}
