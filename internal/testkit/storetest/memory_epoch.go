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

// rowEpoch returns the epoch as rows have it.
func (m *Memory) rowEpoch() otp.Epoch {
	epoch := m.epoch
	epoch.Cause = ""
	return epoch
}
