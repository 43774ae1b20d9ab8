package sqlite

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
)

// keepFormer keeps what the stored row has counted of its device, when the write claims another one.
func keepFormer(ctx context.Context, on *statements, w otp.Write) error {
	if w.Claim == nil || on.keepFormer == nil {
		return nil
	}
	_, err := on.keepFormer.ExecContext(ctx, string(w.Row.Account), w.Claim.Serial)
	return err
}

// BySerial is as otp.Store says.
func (s *Store) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	return list(ctx, s, "find the accounts of a device", s.read.bySerial, scanFound, serial)
}

// ListFormer returns the rows of devices that accounts had before others, in the order of serials and accounts, those after the
// row given, at most limit. The zero row is before all others.
func (s *Store) ListFormer(ctx context.Context, after otp.Row, limit int) ([]otp.Row, error) {
	return list(ctx, s, "list the former devices", s.read.listFormer, scanFound, after.Claim.Serial, string(after.Account), limit)
}

// scanFound reads listedColumns, and whether the row is a former one.
func scanFound(from scanner) (otp.Row, error) {
	var isFormer bool
	row, err := scanListed(longer{from, &isFormer})
	row.Former = isFormer
	return row, err
}

// longer is a row of a result with one more column.
type longer struct {
	scanner

	last any
}

// Scan reads the columns into dest, and the last one into last.
func (l longer) Scan(dest ...any) error { return l.scanner.Scan(append(dest, l.last)...) }
