package authn_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

// recorded is a KeyStore that keeps what it is told of uses.
type recorded struct {
	keyStore
	written []map[string]time.Time
	err     error
}

func (n *recorded) KeysUsed(_ context.Context, used map[string]time.Time) error {
	if n.err != nil {
		return n.err
	}
	n.written = append(n.written, used)
	return nil
}

// However often keys are used, the store is told once, of the last time; of what it does not take, again.
func TestUsesAreToldTogether(t *testing.T) {
	t.Parallel()
	alice, aliceText := newKey(t, bound, noon.Add(time.Hour))
	bob, bobText := newKey(t, bound, time.Time{})
	store := &recorded{keyStore: keyStore{keys: map[string]authn.Key{alice.ID: alice, bob.ID: bob}}}
	now := noon
	keys := authn.NewKeys(store, func() time.Time { return now })
	use := func(text string) { _, _ = keys.Authenticate(t.Context(), secret.NewText(text)) }
	flush := func(want map[string]time.Time) {
		t.Helper()
		store.written = nil
		if err := keys.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		switch {
		case want == nil && len(store.written) == 0:
		case len(store.written) != 1 || !maps.Equal(store.written[0], want):
			t.Errorf("the store was told %v, want %v", store.written, want)
		}
	}
	flush(nil)
	for range 1000 {
		use(aliceText)
		now = now.Add(time.Second)
	}
	use(bobText)
	last := now.Add(-time.Second)
	flush(map[string]time.Time{alice.ID: last, bob.ID: now})
	flush(nil)

	use(bobText)
	first := now
	store.err = errors.New("the disk is full")
	if err := keys.Flush(t.Context()); !errors.Is(err, store.err) {
		t.Errorf("the store failed, and Flush says %v", err)
	}
	store.err = nil
	flush(map[string]time.Time{bob.ID: first})

	now = noon.AddDate(10, 0, 0) // the clock is wrong for a while
	use(bobText)
	now = noon.Add(time.Minute)
	use(bobText)
	flush(map[string]time.Time{bob.ID: now})

	use(bobText)
	store.err = errors.New("the disk is full")
	_ = keys.Flush(t.Context())
	now = now.Add(-time.Second)
	use(bobText)
	store.err = nil
	flush(map[string]time.Time{bob.ID: now})

	now = noon.Add(2 * time.Hour) // alice's key has expired
	use(aliceText)
	use(aliceText + "x")
	flush(nil)
}
