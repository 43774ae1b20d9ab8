package otp

import (
	"context"
	"fmt"
	"time"
)

const actionTransfer = "transfer"

// ErrChanged means that a record is no longer the one that was copied. Its cause is ErrNotDisabled: the account was enabled meanwhile.
var ErrChanged = fmt.Errorf("the record was changed since it was copied: %w", ErrNotDisabled)

// lateAnswerWait is how long after the end of a lease a device is not transferred yet. The process that had the lease may have an answer of
// inWebo that it cannot store at the moment: the device would be lost, because its new keys no longer reach it.
const lateAnswerWait = 10 * time.Minute

// Transferred returns the row of a disabled account as another store, of that doubt epoch, gets it. A device that is in doubt, for whatever
// reason, is so there as well. The same row becomes the same again. ErrNotDisabled and ErrBusy mean that the account must be
// disabled first, or has a conversation under way or one that may still store its answer.
func Transferred(row Row, now time.Time, epoch uint64) (Row, error) {
	r, err := decodeBody(row)
	switch {
	case err != nil:
		return Row{}, err
	case !r.Disabled:
		return Row{}, fmt.Errorf("account %q: %w", row.Account, ErrNotDisabled)
	case r.LeasedAt(now):
		return Row{}, fmt.Errorf("account %q: %w", row.Account, ErrBusy)
	case r.Lease != nil && now.Before(r.Lease.Until.Add(lateAnswerWait)):
		return Row{}, fmt.Errorf("account %q: its last call has not stored what became of it, and a replica may still have an answer of inWebo: "+
			"repeat this after %s: %w", row.Account, r.Lease.Until.Add(lateAnswerWait).Format(time.RFC3339), ErrBusy)
	}
	if lease := r.Lease; lease != nil {
		r = r.withLeaseOvertaken().withDoubt(lease.Until, lease.Revision)
	}
	if row.Body, err = encodeBody(&r); err != nil {
		return Row{}, err
	}
	r.epoch = epoch
	row.InDoubt, row.LeasedUntil, row.Epoch, row.StoreEpoch = r.Doubt != nil, time.Time{}, r.ownEpoch(), Epoch{}
	return row, nil
}

// ForgetTransferred is ForgetDisabled for an account whose record of that revision is durable in another store. ErrChanged means that the
// record has another revision, and ErrNoDevice that the device was forgotten before.
func (s *Service) ForgetTransferred(ctx context.Context, request Request, revision uint64) error {
	return s.administer(ctx, request, actionTransfer, keepsSecrets, func(r Record, now time.Time) (Record, error) {
		switch {
		case !r.isFirst() && !r.Disabled:
			return r, ErrNotDisabled
		case r.claim().Active && r.Revision != revision+1: // change gets the revision of its write
			return r, ErrChanged
		}
		return r.forgotten(now)
	})
}
