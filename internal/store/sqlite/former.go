package sqlite

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
)

// keepFormerDevice keeps what the stored row has counted of its device, when the write claims another one. Where an index is damaged,
// a settle does without.
func keepFormerDevice(on target, w otp.Write) error {
	if w.Claim == nil || on.byScan || w.Row.Revision == 1 {
		return nil
	}
	_, err := on.execWith(keepFormer, func(p *params) {
		p.text(string(w.Row.Account))
		p.integer(int64(w.Row.Revision - 1))
		p.blobOrNull(w.Over)
		p.text(w.Claim.Serial)
	})
	return err
}

// refuseHistory returns ErrHistoryChanged for a write that was decided on another history of its device than there is.
func refuseHistory(on target, w otp.Write) (refusal, failure error) {
	if w.History == nil {
		return nil, nil
	}
	rows, failure := all(on.conn, readListed, listBySerial, w.History.Serial)
	if failure == nil && !w.History.Holds(rows, w.Row.Account) {
		refusal = otp.ErrHistoryChanged
	}
	return refusal, failure
}

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	return list(ctx, s, "find the accounts of a device", readListed, listBySerial, serial)
}

// ListFormer returns the rows of devices that accounts had before others, in the order of serials and accounts, those after the
// row given, at most limit. The zero row is before all others.
func (s *Store) ListFormer(ctx context.Context, after otp.Row, limit int) ([]otp.Row, error) {
	return list(ctx, s, "list the former devices", readListed, listFormer, after.Claim.Serial, string(after.Account), limit)
}
