package main

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A key can be revoked on a store that the service refuses, because a trigger is missing; the command says so.
func TestKeyRevokedWithoutTrigger(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	key := strings.TrimSpace(h.run("", "key", "create", "--account", testAccount))
	db, err := sql.Open("sqlite", filepath.Join(h.dataDir(), "pimsd.db"))
	if err == nil {
		_, err = db.ExecContext(t.Context(), "DROP TRIGGER key_changed")
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Split(key, "_")[1]
	done, said, cmd := h.both("key", "revoke", id)
	if cmd.ProcessState.ExitCode() != 0 || done != "Key "+id+" is revoked.\n" || !strings.Contains(said, "a trigger of the table api_key") {
		t.Errorf("status %d: %s%s", cmd.ProcessState.ExitCode(), done, said)
	}
	if _, said, cmd := h.both("serve"); cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(said, "docs/operations.md") {
		t.Errorf("the service ends with status %d: %s", cmd.ProcessState.ExitCode(), said)
	}
}
