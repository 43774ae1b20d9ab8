package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// A caller who goes away while all connections are busy waits no longer, and nobody else notices.
func TestALookupWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
	s.writer.turn.Lock()
	var taken []*lookup
	for range readers {
		taken = append(taken, <-s.lookups.beside)
	}
	gone, leave := context.WithCancel(t.Context())
	answered := make(chan error)
	go func() {
		_, _, err := s.Fetch(gone, "alice")
		answered <- err
	}()
	leave()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone is told %v", err)
	}
	for _, l := range taken {
		s.lookups.beside <- l
	}
	s.writer.turn.Unlock()
	if _, _, err := s.Fetch(t.Context(), "alice"); !errors.Is(err, otp.ErrNotFound) || s.Broken() != nil {
		t.Errorf("who comes then is told %v; broken: %v", err, s.Broken())
	}
}

// A lookup finds the same on the writer's connection and on its own, whoever wrote it, and none that closed.
func TestLookupsOnBothConnections(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "data")
	s, other := openWith(t, directory, builtIn()), openWith(t, directory, builtIn())
	expect := func(revision uint64) {
		t.Helper()
		row, _, err := s.Fetch(t.Context(), benchWrite(1, 1).Row.Account)
		if err != nil || row.Revision != revision {
			t.Errorf("found is revision %d, %v; want %d", row.Revision, err, revision)
		}
	}
	for revision := uint64(1); revision < 20; revision++ {
		by := []*Store{s, other}[revision%2]
		verb := by.Replace
		if revision == 1 {
			verb = by.Create
		}
		if err := verb(t.Context(), benchWrite(1, revision)); err != nil {
			t.Fatal(err)
		}
		expect(revision)
		s.writer.turn.Lock()
		expect(revision)
		s.writer.turn.Unlock()
		expect(revision)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Fetch(t.Context(), "alice"); !errors.Is(err, errClosed) {
		t.Errorf("a closed store says %v", err)
	}
}

// A column that is read into a type that it has not is a fault of ours, and must not pass as an empty value.
func TestARecordKnowsWhatItCanBeReadInto(t *testing.T) {
	t.Parallel()
	var wrong float64
	if err := (record{int64(7)}).Scan(&wrong); err == nil {
		t.Errorf("a number was read as %v", wrong)
	}
}
