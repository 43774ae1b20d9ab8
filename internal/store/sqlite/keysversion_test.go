package sqlite

import (
	"path/filepath"
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
		closeStore(t, s)
		if err := Check(t.Context(), dir); err == nil {
			t.Errorf("%s: the store is found good", loss)
		}
		if s, err := OpenOrCreate(t.Context(), Options{Dir: dir}); err == nil {
			t.Errorf("%s: the store is served", loss)
			closeStore(t, s)
		}
	}
}
