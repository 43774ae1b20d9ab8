package storetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// AuditAfter is as Reader says.
func (m *Memory) AuditAfter(_ context.Context, id int64, limit int) ([]otp.AuditRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first, _ := slices.BinarySearchFunc(m.lines, id, func(line otp.AuditRecord, id int64) int { return cmp.Compare(line.ID, id+1) })
	lines := m.lines[first:]
	return slices.Clone(lines[:min(limit, len(lines))]), nil
}

// AppendAudit is as otp.Store says.
func (m *Memory) AppendAudit(ctx context.Context, lines []otp.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, line := range lines {
		line.At = now()
		m.log(line)
	}
	return nil
}

// ForgetLines is as Reader says.
func (m *Memory) ForgetLines(_ context.Context, age time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = slices.DeleteFunc(m.lines, func(line otp.AuditRecord) bool { return line.ID < m.logged && now().Sub(line.At) > age })
	return nil
}

// log adds a line.
func (m *Memory) log(line otp.AuditEntry) {
	m.logged++
	m.lines = append(m.lines, otp.AuditRecord{ID: m.logged, AuditEntry: line})
}
