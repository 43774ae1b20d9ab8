package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

var errOtherRecord = errors.New("the other database has another record of it: leave it disabled in one of the two, forget its device in " +
	"the one whose last OTP is older (`pimsd account forget`), and see `pimsd account show` for both; if that is the other one, " +
	"delete the account's row there before this is repeated, as after an earlier move from there (docs/operations.md, Beyond one primary)")

// maxNamed bounds the accounts that the error of a transfer names.
const maxNamed = 10

// accounts transfers the accounts, and returns the number of those that are. One that cannot be transferred does not keep the others, which
// are disabled, from it.
func (t *transfer) accounts(ctx context.Context, all []otp.Account) (done int, err error) {
	var refused []error
	for _, account := range all {
		switch err := t.account(ctx, account); {
		case isOfAccount(err):
			refused = append(refused, fmt.Errorf("account %q: %w", account, err))
			continue
		case err != nil:
			return done, fmt.Errorf("transferred %d of %s; account %q failed: %w", done, input.Count(len(all), "account"), account, err)
		}
		if done++; t.Progress != nil {
			t.Progress(done, len(all))
		}
	}
	if len(refused) > 0 {
		err = fmt.Errorf("transferred %d of %s; %d failed: %w", done, input.Count(len(all), "account"), len(refused),
			errors.Join(refused[:min(len(refused), maxNamed)]...))
	}
	return done, err
}

// isOfAccount reports whether a transfer has failed for a reason of that account alone.
func isOfAccount(err error) bool {
	for _, cause := range []error{errOtherRecord, errOlderKeys, otp.ErrDeviceTaken, otp.ErrNotDisabled, otp.ErrBusy} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}
