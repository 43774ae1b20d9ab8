package storetest

import (
	"cmp"
	"context"
	"slices"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// BySerial is as otp.Store says.
func (m *Memory) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bySerial(serial), ctx.Err()
}

func (m *Memory) bySerial(serial string) (rows []otp.Row) {
	for _, row := range m.rows {
		if serial != "" && row.Claim.Serial == serial {
			row = copyRow(row)
			row.Secrets = secret.Bytes{}
			rows = append(rows, row)
		}
	}
	for at, row := range m.former {
		if at.serial == serial {
			rows = append(rows, copyRow(row))
		}
	}
	slices.SortFunc(rows, func(a, b otp.Row) int { return cmp.Compare(a.Account, b.Account) })
	return rows
}
