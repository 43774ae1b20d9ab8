package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/pimsd/pimsd/internal/otp"
)

// Update is as otp.Store says. The store is locked while decide runs.
func (m *Memory) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, at, err := m.fetch(ctx, account)
	if err != nil && !errors.Is(err, otp.ErrNotFound) {
		return otp.Decision{}, fmt.Errorf("%w: %w", otp.ErrNotApplied, err)
	}
	row.Account = account
	found := otp.Snapshot{Row: row, Now: at}
	if k, there := m.kept[keptAs{account, key}]; there {
		found.Response = &k.StoredResponse
	}
	d, err := otp.Decide(decide, found)
	if err != nil || d.Write == nil {
		return d, err
	}
	fits, refusal := d.Write.Row.Revision == row.Revision+1, otp.ErrConflict
	if d.Write.Row.Revision == 1 {
		refusal = otp.ErrExists
	}
	return d, m.write(ctx, *d.Write, fits, refusal)
}
