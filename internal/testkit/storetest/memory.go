package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Memory is a store that keeps everything in memory: for tests that are about something else than storing. Its clock
// is time.Now, and so the bubble's in a synctest. NewMemory makes one.
type Memory struct {
	mu     sync.Mutex
	rows   map[otp.Account]otp.Row
	ids    map[string]bool
	lines  []otp.AuditRecord
	logged int64 // the last line's id
	kept   map[keptAs]otp.KeyedResponse
	former map[formerly]otp.Row
	sealer string // the name of the sealing key
	epoch  otp.Epoch
}

// keptAs is where an answer is kept.
type keptAs struct {
	account otp.Account
	key     string
}

// formerly is an account that had a device before another one.
type formerly struct {
	serial  string
	account otp.Account
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		rows: map[otp.Account]otp.Row{}, ids: map[string]bool{}, kept: map[keptAs]otp.KeyedResponse{}, former: map[formerly]otp.Row{},
		epoch: otp.Epoch{Number: 1},
	}
}

var (
	_ otp.Store = (*Memory)(nil)
	_ Reader    = (*Memory)(nil)
)

// Fetch is as otp.Store says.
func (m *Memory) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fetch(ctx, account)
}

func (m *Memory) fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return otp.Row{}, time.Time{}, err
	}
	row, ok := m.rows[account]
	if !ok {
		return otp.Row{StoreEpoch: m.rowEpoch()}, now(), otp.ErrNotFound
	}
	row = copyRow(row)
	row.StoreEpoch = m.rowEpoch()
	return row, now(), nil
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
	fits := exists && row.Revision+1 == w.Row.Revision && (w.Over == nil || bytes.Equal(w.Over, row.Body))
	return m.write(ctx, w, fits, otp.ErrConflict)
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
	case m.ids[w.ID], !fits:
		return refusal
	case w.Claim != nil && m.taken(*w.Claim, w.Row.Account):
		return otp.ErrDeviceTaken
	case w.History != nil && !w.History.Holds(m.bySerial(w.History.Serial), w.Row.Account):
		return otp.ErrHistoryChanged
	}
	m.ids[w.ID] = true
	if w.Response != nil {
		m.keep(w.Row.Account, *w.Response)
	}
	row, before := copyRow(w.Row), m.rows[w.Row.Account]
	if w.SameSecrets {
		row.Secrets, row.UnreadAnswers = before.Secrets, before.UnreadAnswers
	}
	row.Claim, row.Disabled = before.Claim, before.Disabled
	if w.Disabled != nil {
		row.Disabled = *w.Disabled
	}
	if w.Claim != nil {
		row.Claim = *w.Claim
	}
	switch {
	case w.Epoch != nil:
		row.Epoch = *w.Epoch
	case row.Revision == 1:
		row.Epoch = 1
	default:
		row.Epoch = before.Epoch
	}
	if serial := before.Claim.Serial; serial != "" && serial != row.Claim.Serial {
		m.former[formerly{serial, before.Account}] = otp.Row{
			Account: before.Account, Revision: before.Revision, Body: before.Body, Claim: otp.Claim{Serial: serial}, Former: true,
		}
	}
	m.rows[w.Row.Account] = row
	line := w.AuditEntry
	line.At = micros(line.At)
	m.log(line)
	return nil
}

// taken reports whether another account than that one has the device.
func (m *Memory) taken(claim otp.Claim, by otp.Account) bool {
	for account, row := range m.rows {
		if claim.Active && claim.Serial != "" && row.Claim == claim && account != by {
			return true
		}
	}
	return false
}

func (m *Memory) keep(account otp.Account, k otp.KeyedResponse) {
	at := keptAs{account, k.Key}
	if old, there := m.kept[at]; there && (!k.IsOTP || old.IsOTP || old.Answer.IsEmpty()) {
		return
	}
	k.At = micros(k.At)
	m.kept[at] = k
}

// DiscardResponse is as otp.Store says.
func (m *Memory) DiscardResponse(ctx context.Context, account otp.Account, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := keptAs{account, key}
	if k, there := m.kept[at]; there && ctx.Err() == nil {
		k.Fingerprint, k.Answer = nil, secret.Bytes{}
		m.kept[at] = k
	}
	return ctx.Err()
}

// ForgetAnswers is as Reader says.
func (m *Memory) ForgetAnswers(_ context.Context, answerLife, keyLife time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, k := range m.kept {
		switch age := now().Sub(k.At); {
		case age < -otp.ClockTolerance:
			k.At, k.Fingerprint, k.Answer = now(), nil, secret.Bytes{}
			m.kept[at] = k
		case age >= keyLife:
			delete(m.kept, at)
		case age >= answerLife:
			k.Fingerprint, k.Answer = nil, secret.Bytes{}
			m.kept[at] = k
		}
	}
	return nil
}

// CountAnswersUnder is as Reader says.
func (m *Memory) CountAnswersUnder(_ context.Context, start []byte) (count int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.kept {
		if !k.Answer.IsEmpty() && (bytes.HasPrefix(k.Answer.Reveal(), start) || bytes.HasPrefix(k.Fingerprint, start)) {
			count++
		}
	}
	return count, nil
}

// SealingKey is as Reader says.
func (m *Memory) SealingKey(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sealer, nil
}

// RecordSealingKey is as Reader says.
func (m *Memory) RecordSealingKey(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealer = name
	return nil
}

// List is as Reader says.
func (m *Memory) List(_ context.Context, after otp.Account, limit int) (rows []otp.Row, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for account, row := range m.rows {
		if account > after {
			row = copyRow(row)
			row.StoreEpoch = m.rowEpoch()
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b otp.Row) int { return bytes.Compare([]byte(a.Account), []byte(b.Account)) })
	return rows[:min(limit, len(rows))], nil
}

// CountUnreadAnswers is as Reader says.
func (m *Memory) CountUnreadAnswers(context.Context) (count int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range m.rows {
		count += row.UnreadAnswers
	}
	return count, nil
}

// Delete removes the account's row, as an operator with SQL would.
func (m *Memory) Delete(account otp.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, account)
}

// Restore puts a row in the place of what is there, whatever its revision, as a restored backup would.
func (m *Memory) Restore(row otp.Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row = copyRow(row)
	if row.Claim == (otp.Claim{}) { // as a fetch returned it
		row.Claim = m.rows[row.Account].Claim
	}
	if row.Epoch == 0 { // as the domain encodes it
		row.Epoch = m.rows[row.Account].Epoch
	}
	m.rows[row.Account] = row
}

// copyRow returns a row that shares nothing with the one given, as if it had been stored and read.
func copyRow(row otp.Row) otp.Row {
	row.Body = bytes.Clone(row.Body)
	if !row.LeasedUntil.IsZero() {
		row.LeasedUntil = micros(row.LeasedUntil)
	}
	return row
}

func now() time.Time { return micros(time.Now()) }

func micros(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }
