package storetest

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
)

// Snapshot returns the snapshot that an Update of the store decides on, and changes nothing.
func Snapshot(ctx context.Context, store otp.Store, account otp.Account, key string) (otp.Snapshot, error) {
	d, err := store.Update(ctx, account, key, func(found otp.Snapshot) otp.Decision { return otp.Decision{Result: found} })
	found, _ := d.Result.(otp.Snapshot)
	return found, err
}
