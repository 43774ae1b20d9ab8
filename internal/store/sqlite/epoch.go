package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
)

// Epoch returns the doubt epoch of the store.
func (s *Store) Epoch(ctx context.Context) (otp.Epoch, error) {
	epochs, err := list(ctx, s, "read the doubt epoch", func(r *row) (otp.Epoch, error) {
		epoch := readStoreEpoch(r)
		epoch.Cause = r.text()
		return epoch, r.err
	}, readEpoch)
	if err != nil || len(epochs) == 0 {
		return otp.Epoch{}, err
	}
	return epochs[0], nil
}

// RaiseEpoch raises the doubt epoch by one, so that every device is in doubt, in one durable write with the audit entry. The cause
// is the action of the entry, and the time is the store's. It is not safe to repeat.
func (s *Store) RaiseEpoch(ctx context.Context, line otp.AuditEntry) error {
	line.At = s.now()
	return s.writer.change(ctx, func(on target) (refusal, failure error) {
		if _, err := on.exec(raiseEpoch, line.At.UnixMicro(), line.Action); err != nil {
			return nil, err
		}
		return nil, on.insertLine(uuid.NewString(), line)
	})
}

// readStoreEpoch reads the number of the store's epoch, and when it was raised.
func readStoreEpoch(r *row) otp.Epoch {
	epoch := otp.Epoch{Number: r.number()}
	if since := r.at(); since.UnixMicro() != 0 {
		epoch.Since = since
	}
	return epoch
}

// readListedInEpoch reads inEpoch.
func readListedInEpoch(r *row) (otp.Row, error) {
	epoch := readStoreEpoch(r)
	listed, err := readListed(r)
	listed.StoreEpoch = epoch
	return listed, err
}
