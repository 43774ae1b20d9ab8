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
	var taken []*lookup
	for range readers {
		taken = append(taken, <-s.lookups)
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
		s.lookups <- l
	}
	if _, _, err := s.Fetch(t.Context(), "alice"); !errors.Is(err, otp.ErrNotFound) || s.Broken() != nil {
		t.Errorf("who comes then is told %v; broken: %v", err, s.Broken())
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
