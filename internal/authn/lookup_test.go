package authn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

// silent is a KeyStore that does not answer.
type silent struct{ authn.KeyStore }

func (silent) KeyByID(ctx context.Context, _ string) (authn.Key, authn.Version, error) {
	<-ctx.Done()
	return authn.Key{}, 0, ctx.Err()
}

func TestLookupOfAKeyHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, text := newKey(t, bound, time.Time{})
		began := time.Now()
		_, err := authn.NewKeys(silent{}, time.Now).Authenticate(t.Context(), secret.NewText(text))
		if took := time.Since(began); took != authn.KeyLookupTimeout || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, authn.ErrKeyLookup) {
			t.Errorf("after %v: %v", took, err)
		}
	})
}
