package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Instance { return instance(t, filepath.Join(t.TempDir(), "data")) })
}

func TestKeyContract(t *testing.T) {
	t.Parallel()
	storetest.RunKeys(t, func(t *testing.T) storetest.KeyInstance { return keyInstance(t, filepath.Join(t.TempDir(), "data")) })
}

// instance opens the store in dir, or makes it; the one that it opens again does not know of the first.
func instance(t *testing.T, dir string) storetest.Instance {
	t.Helper()
	store := open(t, dir)
	return storetest.Instance{Store: store, Reader: store, Reopen: func(t *testing.T) storetest.Instance {
		t.Helper()
		closed(t, store)
		return instance(t, dir)
	}}
}

func keyInstance(t *testing.T, dir string) storetest.KeyInstance {
	t.Helper()
	store := open(t, dir)
	return storetest.KeyInstance{KeyStore: store, Reopen: func(t *testing.T) storetest.KeyInstance {
		t.Helper()
		closed(t, store)
		return keyInstance(t, dir)
	}}
}

// open opens the store in dir, or makes it, and closes it with the test.
func open(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, store) })
	return store
}

func closed(t testing.TB, store *sqlite.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
