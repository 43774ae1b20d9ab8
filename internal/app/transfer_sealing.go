package app

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// agreeOnSealingKey returns errOtherKeys when the two databases are sealed under different keys. The name of the key is recorded in a
// target that no service has used yet: otherwise the accounts could not be transferred back from it.
func (t *transfer) agreeOnSealingKey(ctx context.Context) error {
	here, err := t.from.SealingKey(ctx)
	if err != nil {
		return err
	}
	t.sealingKey = here
	there, err := t.to.SealingKey(ctx)
	switch {
	case err != nil || here == there:
		return err
	case there == "":
		return t.to.RecordSealingKey(ctx, here)
	default:
		return errOtherKeys
	}
}

// isSealedElse reports whether the secrets of the row are sealed under another key than the one that both stores have.
func (t *transfer) isSealedElse(row otp.Row) bool {
	usage := seal.KeyUsageOf([]otp.Row{row})
	delete(usage, seal.KeyID(t.sealingKey))
	delete(usage, seal.Unsealed)
	return t.sealingKey != "" && len(usage) > 0
}
