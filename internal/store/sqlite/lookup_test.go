package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// A caller who goes away while all connections are busy waits no longer, and nobody else notices: neither when the lookup
// waits for a connection of its own, nor when it waits for the writer's.
func TestALookupWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	for _, crowd := range []int32{1, manyWrites} {
		s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
		s.writer.crowd.Store(crowd)
		s.writer.turn.Lock()
		giveBack := takeAll(s)
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
		giveBack()
		s.writer.turn.Unlock()
		if _, _, err := s.Fetch(t.Context(), "alice"); !errors.Is(err, otp.ErrNotFound) || s.Broken() != nil {
			t.Errorf("who comes then is told %v; broken: %v", err, s.Broken())
		}
	}
}

// takeAll takes the lookups' own connections.
func takeAll(s *Store) (giveBack func()) {
	var taken []*lookup
	for range readers {
		taken = append(taken, <-s.lookups.beside)
	}
	return func() {
		for _, l := range taken {
			s.lookups.beside <- l
		}
	}
}

// Among many writes a lookup waits for the writer's connection, and sees all that was stored before.
func TestALookupAmongManyWrites(t *testing.T) {
	t.Parallel()
	s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
	first := benchWrite(1, 1)
	if err := s.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	defer takeAll(s)()
	for revision := uint64(2); revision < 50; revision++ {
		s.writer.crowd.Store(manyWrites)
		s.writer.turn.Lock()
		found := make(chan uint64)
		go func() {
			row, _, err := s.Fetch(t.Context(), first.Row.Account)
			if err != nil {
				t.Error(err)
			}
			found <- row.Revision
		}()
		select {
		case <-found:
			t.Fatal("a lookup has used the connection of somebody else")
		case <-time.After(time.Millisecond):
		}
		s.writer.turn.Unlock()
		if got := <-found; got != revision-1 {
			t.Errorf("found is revision %d, want %d", got, revision-1)
		}
		if err := s.Replace(t.Context(), benchWrite(1, revision)); err != nil {
			t.Fatal(err)
		}
	}
}

// What a closed store says does not depend on how it was used before.
func TestALookupAfterManyWrites(t *testing.T) {
	t.Parallel()
	s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
	s.writer.crowd.Store(manyWrites)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Fetch(t.Context(), "alice"); !errors.Is(err, errClosed) {
		t.Errorf("a closed store says %v", err)
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
