package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
)

// A store whose keys change without a new version is not served, and not found good; one that loses its version while it is served says
// that it knows none.
func TestStoreWithoutAVersionOfTheKeys(t *testing.T) {
	t.Parallel()
	for _, loss := range []string{
		"DROP TRIGGER key_added", "DROP TRIGGER key_changed", "DROP TRIGGER key_deleted", "DELETE FROM keys_version",
	} {
		dir := filepath.Join(t.TempDir(), "data")
		s := openWith(t, dir, builtIn())
		key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, now(), now().AddDate(1, 0, 0))
		must(t, err)
		must(t, s.AddKey(t.Context(), key))
		execute(t, s, loss)
		_, version, err := s.KeyByID(t.Context(), key.ID)
		found, snapshotErr := s.snapshot(t.Context(), "alice", "")
		if err != nil || snapshotErr != nil || authn.Version(found.KeysVersion) != version || (version == 0) != (loss == "DELETE FROM keys_version") {
			t.Errorf("%s: the version is %d with the key, %d in a snapshot (%v, %v)", loss, version, found.KeysVersion, err, snapshotErr)
		}
		if err := s.CheckKeys(t.Context()); !errors.Is(err, authn.ErrChangesUnnoticed) {
			t.Errorf("%s: CheckKeys returns %v", loss, err)
		}
		must(t, s.RevokeKey(t.Context(), key.ID, now()))
		if _, after, err := s.KeyByID(t.Context(), key.ID); err != nil || version != 0 && after == version {
			t.Errorf("%s: the version of a revoked key is still %d (%v)", loss, after, err)
		}
		closeStore(t, s)
		if s, err := Open(t.Context(), Options{Dir: dir}); err != nil {
			t.Errorf("%s: no command can revoke a key: %v", loss, err)
		} else {
			closeStore(t, s)
		}
		if err := Check(t.Context(), dir); err == nil {
			t.Errorf("%s: the store is found good", loss)
		}
		if s, err := OpenOrCreate(t.Context(), Options{Dir: dir}); err == nil {
			t.Errorf("%s: the store is served", loss)
			closeStore(t, s)
		}
		must(t, withConn(t.Context(), filepath.Join(dir, FileName), nil, func(c *conn) error { return c.script(remedy(t)) }))
		s = openWith(t, dir, builtIn())
		_, before, _ := s.KeyByID(t.Context(), key.ID)
		execute(t, s, "UPDATE api_key SET revoked_at = 7")
		if _, after, err := s.KeyByID(t.Context(), key.ID); err != nil || before == 0 || after == before {
			t.Errorf("%s: after the remedy the version was %d and is %d (%v)", loss, before, after, err)
		}
		closeStore(t, s)
	}
}

// A key that cannot be revoked is not reported as revoked.
func TestRevocationThatFails(t *testing.T) {
	t.Parallel()
	s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
	key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, now(), now().AddDate(1, 0, 0))
	must(t, err)
	must(t, s.AddKey(t.Context(), key))
	execute(t, s, "CREATE TRIGGER refuse BEFORE UPDATE ON api_key BEGIN SELECT RAISE(ABORT, 'refused by the test'); END")
	if err := s.RevokeKey(t.Context(), key.ID, now()); err == nil {
		t.Error("a key that cannot be changed is said to be revoked")
	}
}

// remedy is what docs/operations.md says an operator is to run.
func remedy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	must(t, err)
	_, after, found := strings.Cut(string(text), "```sqlite\n")
	script, _, ended := strings.Cut(after, "```")
	if !found || !ended {
		t.Fatal("docs/operations.md has no such block")
	}
	return script
}
