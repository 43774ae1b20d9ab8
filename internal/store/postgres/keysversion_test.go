package postgres_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// addKey adds a key for alice.
func addKey(t *testing.T, s *postgres.Store) authn.Key {
	t.Helper()
	key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return key
}

// A store whose keys change without a new version is not served, and not found good; one that loses its version while it is served says
// that it knows none.
func TestStoreWithoutAVersionOfTheKeys(t *testing.T) {
	for _, loss := range []string{
		"DROP TRIGGER key_changed ON api_key", "ALTER TABLE api_key DISABLE TRIGGER key_changed", "DELETE FROM keys_version",
	} {
		url := server.Database(t)
		s := open(t, url)
		key := addKey(t, s)
		server.Exec(t, url.Reveal(), loss)
		var found otp.Snapshot
		_, err := s.Update(t.Context(), "alice", "", func(is otp.Snapshot) otp.Decision {
			found = is
			return otp.Decision{}
		})
		_, version, keyErr := s.KeyByID(t.Context(), key.ID)
		if err != nil || keyErr != nil || authn.Version(found.KeysVersion) != version || (version == 0) != (loss == "DELETE FROM keys_version") {
			t.Errorf("%s: the version is %d with the key, %d in a snapshot (%v, %v)", loss, version, found.KeysVersion, keyErr, err)
		}
		if err := s.CheckKeys(t.Context()); !errors.Is(err, authn.ErrChangesUnnoticed) {
			t.Errorf("%s: CheckKeys returns %v", loss, err)
		}
		if err := s.RevokeKey(t.Context(), key.ID, time.Now()); err != nil {
			t.Error(err)
		}
		if _, after, err := s.KeyByID(t.Context(), key.ID); err != nil || version != 0 && after == version {
			t.Errorf("%s: the version of a revoked key is still %d (%v)", loss, after, err)
		}
		if err := postgres.Check(t.Context(), postgres.Options{URL: url}); err == nil {
			t.Errorf("%s: the store is found good", loss)
		}
		if s, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: url}); err == nil {
			t.Errorf("%s: the store is served", loss)
			s.Close()
		}
		server.Exec(t, url.Reveal(), remedy(t))
		s = open(t, url)
		_, before, _ := s.KeyByID(t.Context(), key.ID)
		server.Exec(t, url.Reveal(), "UPDATE api_key SET revoked_at = 7")
		if _, after, err := s.KeyByID(t.Context(), key.ID); err != nil || before == 0 || after == before {
			t.Errorf("%s: after the remedy the version was %d and is %d (%v)", loss, before, after, err)
		}
	}
}

// A key is changed, and so is the version, also by a session with another search path than that of pimsd, such as that of pg_restore.
func TestKeysVersionWithoutSearchPath(t *testing.T) {
	url := server.Database(t)
	s := open(t, url)
	key := addKey(t, s)
	_, before, err := s.KeyByID(t.Context(), key.ID)
	if err != nil {
		t.Fatal(err)
	}
	server.Exec(t, url.Reveal(), "SET search_path = ''", "UPDATE public.api_key SET revoked_at = 1")
	if _, after, err := s.KeyByID(t.Context(), key.ID); err != nil || after == before {
		t.Errorf("the version was %d and is %d (%v)", before, after, err)
	}
}

// remedy is what docs/operations.md says an operator is to run.
func remedy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```postgresql\n")
	script, _, ended := strings.Cut(after, "```")
	if !found || !ended {
		t.Fatal("docs/operations.md has no such block")
	}
	return script
}
