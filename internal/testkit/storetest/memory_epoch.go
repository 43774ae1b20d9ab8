package storetest

import (
	"context"

	"github.com/pimsd/pimsd/internal/otp"
)

// Epoch is as Reader says.
func (m *Memory) Epoch(context.Context) (otp.Epoch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, nil
}

// RaiseEpoch is as Reader says.
func (m *Memory) RaiseEpoch(_ context.Context, line otp.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	line.At = now()
	m.epoch = otp.Epoch{Number: m.epoch.Number + 1, Since: line.At, Cause: line.Action}
	m.log(line)
	return nil
}

// CountDoubt is as Reader says.
func (m *Memory) CountDoubt(context.Context) (count int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range m.rows {
		left := row.LeasedUntil.Sub(now())
		if row.InDoubt || row.Epoch > 0 && row.Epoch < m.epoch.Number || !row.LeasedUntil.IsZero() && (left < 0 || left > otp.MaxLease) {
			count++
		}
	}
	return count, nil
}

// rowEpoch returns the epoch as rows have it.
func (m *Memory) rowEpoch() otp.Epoch {
	epoch := m.epoch
	epoch.Cause = ""
	return epoch
}
