package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// KeyInstance is a store of API keys under test, on data of its own.
type KeyInstance struct {
	authn.KeyStore
	Reopen func(t *testing.T) KeyInstance // as of Instance
}

// RunKeys holds a store of API keys against authn.KeyStore. open returns an instance without keys.
func RunKeys(t *testing.T, open func(t *testing.T) KeyInstance) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, KeyInstance){
		"keys come back exactly": testExactKeys,
		"revoked":                testRevoked,
		"used":                   testUsed,
		"added at once":          testKeysAtOnce,
		"their version":          testKeysVersion,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func newKey(t *testing.T, grant authn.Grant, created, expires time.Time) authn.Key {
	t.Helper()
	key, _, err := authn.NewKey(grant, created, expires)
	must(t, err)
	return key
}

func testExactKeys(t *testing.T, s KeyInstance) {
	ctx := t.Context()
	if keys, err := s.ListKeys(ctx); err != nil || len(keys) != 0 {
		t.Fatalf("without keys, ListKeys gives %d and %v", len(keys), err)
	}
	all := authn.Scopes{authn.ScopeOTP, authn.ScopeEnroll, authn.ScopeUnlock}
	want := []authn.Key{
		newKey(t, authn.Grant{Account: "o'hara %_ ~"}, noon, time.Time{}),
		newKey(t, authn.Grant{Backend: true, Scopes: all}, noon.Add(time.Microsecond), time.Time{}),
		newKey(t, authn.Grant{Backend: true, Prefix: "fleet-", Scopes: all[1:]}, noon.Add(time.Hour), noon.AddDate(10, 0, 0)),
	}
	for _, i := range []int{2, 0, 1} {
		must(t, s.AddKey(ctx, want[i]))
	}
	other := want[0]
	other.Account = "mallory"
	if err := s.AddKey(ctx, other); !errors.Is(err, authn.ErrKeyExists) {
		t.Errorf("a key whose id is taken: %v", err)
	}
	if _, _, err := s.KeyByID(ctx, "aaaaaaaaaaaa"); !errors.Is(err, authn.ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	for range 2 {
		for _, key := range want {
			got, _, err := s.KeyByID(ctx, key.ID)
			must(t, err)
			expectKey(t, got, key)
		}
		got, err := s.ListKeys(ctx)
		must(t, err)
		if len(got) != len(want) {
			t.Fatalf("ListKeys gives %d keys, want %d", len(got), len(want))
		}
		for i := range want {
			expectKey(t, got[i], want[i])
		}
		s = s.Reopen(t)
	}
}

// expectKey compares all of a key: times must be in UTC, and the zero time the zero time.
func expectKey(t *testing.T, got, want authn.Key) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the key is %+v, want %+v", got, want)
	}
}

func testRevoked(t *testing.T, s KeyInstance) {
	ctx := t.Context()
	key, other := newKey(t, authn.Grant{Account: "alice"}, noon, time.Time{}), newKey(t, authn.Grant{Account: "alice"}, noon, time.Time{})
	must(t, s.AddKey(ctx, key))
	must(t, s.AddKey(ctx, other))
	key.RevokedAt = noon.Add(time.Minute)
	must(t, s.RevokeKey(ctx, key.ID, key.RevokedAt))
	must(t, s.RevokeKey(ctx, key.ID, noon.Add(time.Hour)))
	if err := s.RevokeKey(ctx, "aaaaaaaaaaaa", noon); !errors.Is(err, authn.ErrNoKey) {
		t.Errorf("revoking a key that is not there: %v", err)
	}
	for _, want := range []authn.Key{key, other} {
		got, _, err := s.Reopen(t).KeyByID(ctx, want.ID)
		must(t, err)
		expectKey(t, got, want)
	}
}

func testUsed(t *testing.T, s KeyInstance) {
	ctx := t.Context()
	alice, bob := newKey(t, authn.Grant{Account: "alice"}, noon, time.Time{}), newKey(t, authn.Grant{Account: "bob"}, noon, time.Time{})
	unused := newKey(t, authn.Grant{Backend: true}, noon, time.Time{})
	for _, key := range []authn.Key{alice, bob, unused} {
		must(t, s.AddKey(ctx, key))
	}
	alice.LastUsedAt, bob.LastUsedAt = noon.Add(time.Hour+time.Microsecond), noon.Add(2*time.Hour)
	must(t, s.KeysUsed(ctx, map[string]time.Time{alice.ID: alice.LastUsedAt, bob.ID: bob.LastUsedAt, "aaaaaaaaaaaa": noon}))
	must(t, s.KeysUsed(ctx, map[string]time.Time{alice.ID: noon, bob.ID: noon}))
	must(t, s.KeysUsed(ctx, nil))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			at := noon.Add(time.Duration(i) * time.Minute)
			if err := s.KeysUsed(ctx, map[string]time.Time{alice.ID: at, bob.ID: at}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ahead := time.Now().AddDate(10, 0, 0) // as a clock notes that is wrong
	must(t, s.KeysUsed(ctx, map[string]time.Time{alice.ID: ahead}))
	must(t, s.KeysUsed(ctx, map[string]time.Time{alice.ID: alice.LastUsedAt}))
	s = s.Reopen(t)
	for _, want := range []authn.Key{alice, bob, unused} {
		got, _, err := s.KeyByID(ctx, want.ID)
		must(t, err)
		expectKey(t, got, want)
	}
}

// testKeysVersion: whatever changes a key changes the version, which is that of the snapshots, too; a use changes nothing.
func testKeysVersion(t *testing.T, s KeyInstance) {
	ctx := t.Context()
	key, other := newKey(t, authn.Grant{Backend: true}, noon, time.Time{}), newKey(t, authn.Grant{Account: "alice"}, noon, time.Time{})
	seen := map[authn.Version]string{0: "none"}
	version := func(after string, changed bool) {
		t.Helper()
		_, v, err := s.KeyByID(ctx, key.ID)
		must(t, err)
		if before, known := seen[v]; known == changed {
			t.Errorf("after %s the version is %d, as after %s", after, v, before)
		}
		seen[v] = after
		if in := keysVersionOf(t, s); in != v {
			t.Errorf("after %s the version is %d with the key, and %d in a snapshot", after, v, in)
		}
	}
	must(t, s.AddKey(ctx, key))
	version("a key was added", true)
	version("nothing", false)
	must(t, s.AddKey(ctx, other))
	version("another was added", true)
	must(t, s.KeysUsed(ctx, map[string]time.Time{key.ID: noon, other.ID: noon}))
	version("uses", false)
	must(t, s.RevokeKey(ctx, other.ID, noon))
	version("another was revoked", true)
	must(t, s.RevokeKey(ctx, key.ID, noon))
	version("the key was revoked", true)
	s = s.Reopen(t)
	version("the store was opened again", false)
}

// keysVersionOf returns the version in a snapshot of an account that the store does not have.
func keysVersionOf(t *testing.T, s KeyInstance) authn.Version {
	t.Helper()
	var version authn.Version
	_, err := s.KeyStore.(otp.Store).Update(t.Context(), "absent", "", func(found otp.Snapshot) otp.Decision {
		version = authn.Version(found.KeysVersion)
		return otp.Decision{}
	})
	must(t, err)
	return version
}

func testKeysAtOnce(t *testing.T, s KeyInstance) {
	keys := make([]authn.Key, 16)
	var all sync.WaitGroup
	for i := range keys {
		keys[i] = newKey(t, authn.Grant{Account: "alice"}, noon, time.Time{})
		all.Go(func() {
			if err := s.AddKey(t.Context(), keys[i]); err != nil {
				t.Error(err)
			}
			if got, _, err := s.KeyByID(t.Context(), keys[i].ID); err != nil || got.Hash != keys[i].Hash {
				t.Errorf("a key just added: %v", err)
			}
		})
	}
	all.Wait()
	listed, err := s.ListKeys(t.Context())
	must(t, err)
	if len(listed) != len(keys) || !slices.IsSortedFunc(listed, func(a, b authn.Key) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("ListKeys gives %d keys of one moment, want %d by id", len(listed), len(keys))
	}
}
