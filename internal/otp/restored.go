package otp

import (
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// Restored returns the row of an account as a store has it that was restored from a backup: no conversation leases it, and its
// revision is higher than any that the replaced store had. That its device is in doubt follows from the doubt epoch of the store,
// which the restore raises.
//
// replaced are the rows of the store that the backup replaces that belong to the same account or the same device. What they have
// counted goes on to count: wrong PINs, OTPs and SMS activations. An account that one of them disables stays disabled. A row of them
// that cannot be read counts as one that could not be found. Vaults are neither read nor changed.
func Restored(row Row, replaced []Row) (Row, error) {
	r, err := decodeBody(row)
	if err != nil {
		return Row{}, err
	}
	for _, other := range replaced {
		old, err := decodeBody(other)
		if err == nil {
			r = r.counting(old)
		}
		if other.Account == row.Account {
			r.Revision = max(r.Revision, other.Revision)
			r.Disabled = r.Disabled || err == nil && old.Disabled && !other.Former
		}
	}
	return r.recovered(row)
}

// RestoredUnknown is Restored where nothing is known of the replaced store: until inWebo accepts a proof of the account, the guard
// forwards one more guess at most.
func RestoredUnknown(row Row, now time.Time, limits GuardLimits) (Row, error) {
	r, err := decodeBody(row)
	if err != nil {
		return Row{}, err
	}
	if least := limits.Attempts - 1; least > 0 && r.Guard.Wrong < least {
		r.Guard.Wrong, r.Guard.WrongAt = least, now
	}
	return r.recovered(row)
}

// Remains returns the row of an account that only the replaced store has, as far as it outlives its device: the serial, and what
// was counted. So a new enrollment costs what it would have cost without the restore.
func Remains(row Row) (Row, error) {
	r, err := decodeBody(row)
	if err != nil {
		return Row{}, err
	}
	r.Device, r.Enrolment, r.Doubt, r.Blocking = nil, nil, nil, ""
	row.Vault, row.UnreadAnswers, row.Claim.Active, row.Epoch = secret.Bytes{}, 0, false, 0
	return r.recovered(row)
}

// counting returns r with what another record has counted of the same account or device.
func (r Record) counting(other Record) Record {
	r.Guard, r.Quota = r.Guard.joined(other.Guard), r.Quota.joined(other.Quota)
	r.Activations = max(r.Activations, other.Activations)
	r.Tenure = max(r.Tenure, other.Tenure)
	return r
}

// recovered returns the row that takes the place of row, without a lease.
func (r Record) recovered(row Row) (Row, error) {
	r.Revision++
	r = r.released()
	text, err := encodeBody(r)
	if err != nil {
		return Row{}, err
	}
	row.Revision, row.InDoubt, row.HeldUntil, row.Body = r.Revision, r.Doubt != nil, time.Time{}, text
	return row, nil
}
