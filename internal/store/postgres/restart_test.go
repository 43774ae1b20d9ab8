package postgres_test

import (
	"errors"
	"testing"
)

// Of the calls after a restart of the server, one meets a connection of the time before: the others are given up with it.
func TestOneCallFailsAfterARestart(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.Database(t))
	useAllConnections(t, store)
	if err := errors.Join(own.Stop(), own.StartAgain()); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for range 10 {
		if _, err := store.ListKeys(t.Context()); err != nil {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d calls failed", failed)
	}
}

// A server that crashed and came back has every write that it acknowledged, and the store goes on by itself.
func TestCrashOfTheServer(t *testing.T) {
	own := ownServer(t)
	store := open(t, own.Database(t))
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	acknowledged := uint64(1)
	for range 3 {
		for range 20 {
			if err := store.Replace(t.Context(), write(acknowledged+1)); err != nil {
				t.Fatal(err)
			}
			acknowledged++
		}
		if err := own.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.Fetch(t.Context(), "a"); err == nil {
			t.Error("a server that is not there answers")
		}
		if err := own.StartAgain(); err != nil {
			t.Fatal(err)
		}
		row, _, err := store.Fetch(t.Context(), "a")
		for i := 0; err != nil && i < 20; i++ { // connections of the time before fail first
			row, _, err = store.Fetch(t.Context(), "a")
		}
		if err != nil || row.Revision != acknowledged {
			t.Fatalf("revision %d, %v; want %d", row.Revision, err, acknowledged)
		}
	}
}
