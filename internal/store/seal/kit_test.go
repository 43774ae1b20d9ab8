package seal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// line is a line of a keyring's text, without id, for a key that the number tells from others.
func line(n byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32)) }

// keyringOf is a keyring of the lines.
func keyringOf(t rapid.TB, lines ...string) *seal.Keyring {
	t.Helper()
	keyring, err := seal.FromText("the keyring", secret.NewText(strings.Join(lines, "\n")))
	must(t, err)
	return keyring
}

// idOf is the id of a line's key.
func idOf(t rapid.TB, line string) seal.KeyID { return keyringOf(t, line).Current() }

// newFile makes a key file with one new key, and gives its path.
func newFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), seal.FileName)
	openFile(t, path, true)
	return path
}

// openFile opens a key file as another process would have it open.
func openFile(t testing.TB, path string, mayCreate bool) *seal.Keyring {
	t.Helper()
	keyring, err := seal.OpenFile(path, mayCreate)
	must(t, err)
	return keyring
}

// turn adds a new key to the keyring's file, and makes it the current one.
func turn(t testing.TB, keyring *seal.Keyring) seal.KeyID {
	t.Helper()
	key, err := seal.NewKey(rand.Reader)
	must(t, err)
	begin(t, keyring, key)
	must(t, keyring.Promote(key.ID()))
	must(t, keyring.EndRotation())
	return key.ID()
}

// begin begins a rotation to the key.
func begin(t testing.TB, keyring *seal.Keyring, key seal.Key) {
	t.Helper()
	if id, err := keyring.BeginRotation(key); err != nil || id != key.ID() {
		t.Fatalf("BeginRotation returns %s, %v", id, err)
	}
}

func vault(text string) secret.Bytes { return secret.NewBytes([]byte(text)) }

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fetch(t testing.TB, store otp.Store, account otp.Account) otp.Row {
	t.Helper()
	row, _, err := store.Fetch(context.WithoutCancel(t.Context()), account)
	must(t, err)
	return row
}
