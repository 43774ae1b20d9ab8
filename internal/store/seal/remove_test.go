package seal_test

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// aged makes a key file one that was changed long ago, so that no write can still be on its way.
func aged(t *testing.T, path string) {
	t.Helper()
	long := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path, long, long))
}

// A key is removed from the file only when neither a record nor a kept answer needs it, and it is not the current one.
func TestRemoveUnused(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keyring := openFile(t, path, false)
	old := keyring.Current()
	memory := storetest.NewMemory()
	store := seal.New(memory, keyring)
	first := otp.Write{
		ID: "1", Row: otp.Row{Account: "alice", Revision: 1, Body: []byte("{}"), Secrets: vault("{}")}, AuditEntry: otp.AuditEntry{Account: "alice"},
	}
	must(t, store.Create(t.Context(), first))
	second := first
	second.ID, second.Row.Revision = "2", 2
	second.Response = &otp.KeyedResponse{Key: strings.Repeat("a", 64), IsOTP: true, StoredResponse: otp.StoredResponse{
		At: time.Now(), Fingerprint: keyring.Body("alice", "a", secret.NewBytes([]byte("body"))).Fingerprint(), Answer: vault("answer"),
	}}
	must(t, store.Replace(t.Context(), second))
	remove := func(id seal.KeyID) error {
		aged(t, path)
		return keyring.RemoveUnused(t.Context(), memory, id)
	}
	refused := func(id seal.KeyID, why string) {
		t.Helper()
		if err := remove(id); !errors.Is(err, seal.ErrKeyNeeded) || !strings.Contains(err.Error(), why) {
			t.Errorf("removing %s: %v; want %q", id, err, why)
		}
	}

	refused(old, "seals 1 record:")
	current := turn(t, keyring)
	refused(old, "seals 1 record:")
	third := second
	third.ID, third.Row.Revision, third.Response = "3", 3, nil
	must(t, store.Replace(t.Context(), third)) // under the new key
	refused(old, "seals 1 answer kept")
	must(t, memory.DiscardResponse(t.Context(), "alice", strings.Repeat("a", 64)))
	refused(current, "seals 1 record:")
	if err := remove("00000000"); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	unreadable := otp.Write{ID: "4", Row: otp.Row{Account: "bob", Revision: 1}} // it is listed so
	must(t, memory.Create(t.Context(), unreadable))
	refused(old, "1 record cannot be read, and may be sealed under key")
	memory.Delete("bob")
	must(t, remove(old))
	if got := openFile(t, path, false).Keys(); len(got) != 1 || got[0] != current {
		t.Errorf("the file has the keys %v", got)
	}
	memory.Delete("alice")
	refused(current, "is the current one")
	if err := keyringOf(t, line(1)).RemoveUnused(t.Context(), memory, old); !errors.Is(err, seal.ErrNoKeyFile) {
		t.Errorf("a keyring without a file: %v", err)
	}
}

// TestRemoveUnusedWaits: a write that was sealed before its process has read the changed file reaches the store within 11 s. So long after
// the change nothing is counted, but no longer, whatever the clocks of file and process say.
func TestRemoveUnusedWaits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ age, want time.Duration }{
		"changed just now":   {0, 11 * time.Second},
		"changed 4 s ago":    {4 * time.Second, 7 * time.Second},
		"changed 11 s ago":   {11 * time.Second, 0},
		"changed long ago":   {time.Hour, 0},
		"changed in an hour": {-time.Hour, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				path := newFile(t)
				keyring := openFile(t, path, false)
				old := keyring.Current()
				turn(t, keyring)
				changed := time.Now().Add(-tc.age)
				must(t, os.Chtimes(path, changed, changed))
				began := time.Now()
				must(t, keyring.RemoveUnused(t.Context(), storetest.NewMemory(), old))
				if took := time.Since(began); took != tc.want {
					t.Errorf("the key is removed after %v, want %v", took, tc.want)
				}
			})
		})
	}
}

// A rotation that was interrupted goes on with its key, wherever it was cut off, and one that has ended does not.
func TestRotationThatWasInterrupted(t *testing.T) {
	t.Parallel()
	draw := func() seal.Key {
		key, err := seal.NewKey(rand.Reader)
		must(t, err)
		return key
	}
	for name, promoted := range map[string]bool{"before its key seals": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newFile(t)
			keyring := openFile(t, path, false)
			key := draw()
			begin(t, keyring, key)
			if promoted {
				must(t, keyring.Promote(key.ID()))
			}
			again := openFile(t, path, false) // another process
			if id, err := again.BeginRotation(draw()); err != nil || id != key.ID() {
				t.Errorf("the next run has the key %s, %v; want %s", id, err, key.ID())
			}
			aged(t, path)
			if err := again.RemoveUnused(t.Context(), storetest.NewMemory(), key.ID()); !errors.Is(err, seal.ErrKeyNeeded) {
				t.Errorf("removing its key: %v", err)
			}
			must(t, again.Promote(key.ID()))
			must(t, again.EndRotation())
			if keys := again.Keys(); len(keys) != 2 || keys[0] != key.ID() {
				t.Errorf("the keys are %v", keys)
			}
			begin(t, openFile(t, path, false), draw())
		})
	}
}
