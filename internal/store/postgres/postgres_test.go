package postgres_test

import (
	"os"
	"testing"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, func(s *pgtest.Server) { server = s }))
}

// ownServer is a server that the test may change, and end. All of them pass for one cluster.
func ownServer(t *testing.T) *pgtest.Server {
	t.Helper()
	return server.Twin(t)
}

// standbyOf is a standby of a server, which ends with the test.
func standbyOf(t *testing.T, primary *pgtest.Server) *pgtest.Server {
	t.Helper()
	return primary.Standby(t)
}

// open opens the store of a database, making its schema.
func open(t *testing.T, url secret.Text) *postgres.Store {
	t.Helper()
	return openFor(t, url)
}

func openFor(t testing.TB, url secret.Text) *postgres.Store {
	t.Helper()
	store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func instance(t *testing.T, url secret.Text) storetest.Instance {
	store := open(t, url)
	return storetest.Instance{Store: store, Reader: store, Reopen: func(t *testing.T) storetest.Instance { return instance(t, url) }}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Instance { return instance(t, server.Database(t)) })
}

func keyInstance(t *testing.T, url secret.Text) storetest.KeyInstance {
	return storetest.KeyInstance{KeyStore: open(t, url), Reopen: func(t *testing.T) storetest.KeyInstance { return keyInstance(t, url) }}
}

func TestKeyContract(t *testing.T) {
	storetest.RunKeys(t, func(t *testing.T) storetest.KeyInstance { return keyInstance(t, server.Database(t)) })
}
