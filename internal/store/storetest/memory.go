package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// Memory is a store that keeps everything in memory: for tests that are about something else than storing. Its clock
// is time.Now, and so the bubble's in a synctest. NewMemory makes one.
type Memory struct {
	mu    sync.Mutex
	rows  map[otp.Account]otp.Row
	ids   map[string]bool
	lines []otp.Audited
}

// NewMemory gives an empty store.
func NewMemory() *Memory {
	return &Memory{rows: map[otp.Account]otp.Row{}, ids: map[string]bool{}}
}

var (
	_ otp.Store = (*Memory)(nil)
	_ Reader    = (*Memory)(nil)
)

// Fetch is as otp.Store says.
func (m *Memory) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return otp.Row{}, time.Time{}, err
	}
	row, ok := m.rows[account]
	if !ok {
		return otp.Row{}, now(), otp.ErrNotFound
	}
	return copyRow(row), now(), nil
}

// Create is as otp.Store says.
func (m *Memory) Create(ctx context.Context, w otp.Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.Row.Account == "" || w.Row.Revision != 1 {
		return errors.New("the first row of an account must name it and have revision 1")
	}
	_, exists := m.rows[w.Row.Account]
	return m.write(ctx, w, !exists, otp.ErrExists)
}

// Replace is as otp.Store says.
func (m *Memory) Replace(ctx context.Context, w otp.Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, exists := m.rows[w.Row.Account]
	return m.write(ctx, w, exists && row.Revision+1 == w.Row.Revision, otp.ErrConflict)
}

// write stores a write that fits, and tells a repeat from one that does not.
func (m *Memory) write(ctx context.Context, w otp.Write, fits bool, refusal error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.ID == "" || len(w.ID) > 64:
		return errors.New("the id of a write must be 1 to 64 characters")
	case m.ids[w.ID] && m.rows[w.Row.Account].Revision >= w.Row.Revision:
		return nil
	case m.ids[w.ID]:
		return errors.New("another write has the same id")
	case !fits:
		return refusal
	}
	m.ids[w.ID] = true
	m.rows[w.Row.Account] = copyRow(w.Row)
	line := w.Line
	line.At = micros(line.At)
	m.lines = append(m.lines, otp.Audited{ID: int64(len(m.lines) + 1), Line: line})
	return nil
}

// List is as Reader says.
func (m *Memory) List(_ context.Context, after otp.Account, limit int) (rows []otp.Row, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for account, row := range m.rows {
		if account > after {
			rows = append(rows, copyRow(row))
		}
	}
	slices.SortFunc(rows, func(a, b otp.Row) int { return bytes.Compare([]byte(a.Account), []byte(b.Account)) })
	return rows[:min(limit, len(rows))], nil
}

// CountDoubt is as Reader says.
func (m *Memory) CountDoubt(context.Context) (count int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range m.rows {
		if row.InDoubt || !row.HeldUntil.IsZero() && row.HeldUntil.Before(now()) {
			count++
		}
	}
	return count, nil
}

// AuditAfter is as Reader says.
func (m *Memory) AuditAfter(_ context.Context, id int64, limit int) ([]otp.Audited, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := m.lines[min(max(id, 0), int64(len(m.lines))):]
	return slices.Clone(lines[:min(limit, len(lines))]), nil
}

// copyRow gives a row that shares nothing with the one given, as if it had been stored and read.
func copyRow(row otp.Row) otp.Row {
	row.Body = bytes.Clone(row.Body)
	if !row.HeldUntil.IsZero() {
		row.HeldUntil = micros(row.HeldUntil)
	}
	return row
}

func now() time.Time { return micros(time.Now()) }

func micros(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }
