package seal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pimsd/pimsd/internal/otp"
)

// Catalog is what a store knows about the keys that its secrets are sealed under. A key file alone cannot tell that it belongs
// to another store; so the store keeps the name of the key that seals.
type Catalog interface {
	Lister
	// SealingKey returns the name of the key that was recorded last; it is empty when none was recorded.
	SealingKey(ctx context.Context) (string, error)
}

// Recorder is a Catalog that can be changed.
type Recorder interface {
	Catalog
	// RecordSealingKey records the name of the key that seals from now on. It is durable when it returns nil.
	RecordSealingKey(ctx context.Context, name string) error
}

// CheckCurrent returns an error that wraps ErrCurrentKeyMissing when the key that the store is sealed under now is not
// among the keyring's keys, and records need it. Other keys may be missing: that costs their records alone.
//
// A store of a version before the key was recorded counts as sealed under the keys of its first records.
func (r *Keyring) CheckCurrent(ctx context.Context, c Catalog) error {
	recorded, err := c.SealingKey(ctx)
	switch current, ids := KeyID(recorded), r.Keys(); {
	case err != nil:
		return err
	case recorded == "":
		return r.checkUnrecorded(ctx, c)
	case slices.Contains(ids, current):
		return nil
	default:
		return r.checkNeed(ctx, c, current)
	}
}

// Agree is CheckCurrent for a process that begins to seal under the keyring's current key, and records that in the store.
func (r *Keyring) Agree(ctx context.Context, c Recorder) error {
	current := r.Keys()[0]
	if err := r.CheckCurrent(ctx, c); err != nil {
		return err
	}
	recorded, err := c.SealingKey(ctx)
	if err != nil || recorded == string(current) {
		return err
	}
	return c.RecordSealingKey(ctx, string(current))
}

// sampleSize is how many records are looked at where a start must be quick: all of a small store, and a part of a big one.
const sampleSize = 500

func (r *Keyring) checkUnrecorded(ctx context.Context, rows Lister) error {
	some, err := rows.List(ctx, "", sampleSize)
	if err != nil {
		return err
	}
	usage := KeyUsageOf(some)
	delete(usage, Unsealed)
	ids := r.Keys()
	for id := range usage {
		if slices.Contains(ids, id) {
			return nil
		}
	}
	if err := r.Check(usage); err != nil {
		return fmt.Errorf("%w: %w", ErrCurrentKeyMissing, err)
	}
	return nil
}

// errNeeded ends a search for the first record that needs a key.
var errNeeded = errors.New("needed")

func (r *Keyring) checkNeed(ctx context.Context, rows Lister, id KeyID) error {
	err := eachRow(ctx, rows, func(row otp.Row) error {
		if !row.Secrets.IsEmpty() && keyOfRow(row) == id {
			return errNeeded
		}
		return nil
	})
	if !errors.Is(err, errNeeded) {
		return err // of the store, or nil: no record needs the key any more
	}
	return fmt.Errorf("%w: the records are sealed under key %s, which %s lacks; add the key's line to it, or configure the right keys",
		ErrCurrentKeyMissing, id, r.source)
}
