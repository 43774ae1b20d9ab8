package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/otp"
)

// model is what a store must do, said as simply as it can be.
type model struct {
	rows    map[otp.Account]otp.Row
	applied map[string]bool
	lines   []otp.AuditEntry
}

func newModel() *model { return &model{rows: map[otp.Account]otp.Row{}, applied: map[string]bool{}} }

// put creates or replaces, as the revision says.
func (m *model) put(w otp.Write) error {
	row, exists := m.rows[w.Row.Account]
	switch {
	case m.applied[w.ID]:
		return nil
	case w.Row.Revision == 1 && exists:
		return otp.ErrExists
	case w.Row.Revision != 1 && (!exists || w.Row.Revision != row.Revision+1):
		return otp.ErrConflict
	}
	m.rows[w.Row.Account] = w.Row
	m.applied[w.ID] = true
	m.lines = append(m.lines, w.AuditEntry)
	return nil
}

// testHistory lets random histories happen, each on accounts of its own, and compares every answer with the model's.
func testHistory(t *testing.T, s Instance) {
	m := newModel()
	history := 0
	rapid.Check(t, func(rt *rapid.T) {
		history++
		accounts := []otp.Account{otp.Account(fmt.Sprintf("%d-a", history)), otp.Account(fmt.Sprintf("%d-b", history))}
		var tried []otp.Write
		account := func() otp.Account { return rapid.SampledFrom(accounts).Draw(rt, "account") }
		compare := func(what string, got, want error) {
			if !errors.Is(got, want) {
				rt.Fatalf("%s: the error is %v, want %v", what, got, want)
			}
		}
		try := func(w otp.Write) { compare("write", put(context.Background(), s, w), m.put(w)) }
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(*rapid.T) {
				tried = append(tried, write(account(), 1))
				try(tried[len(tried)-1])
			},
			"replace": func(*rapid.T) {
				a := account()
				ahead := rapid.SampledFrom([]uint64{1, 1, 1, 0, 2}).Draw(rt, "ahead")
				tried = append(tried, write(a, max(2, m.rows[a].Revision+ahead)))
				try(tried[len(tried)-1])
			},
			"repeat": func(*rapid.T) {
				if len(tried) > 0 {
					try(rapid.SampledFrom(tried).Draw(rt, "write"))
				}
			},
			"fetch": func(*rapid.T) {
				a := account()
				want, exists := m.rows[a]
				got, _, err := s.Fetch(context.Background(), a)
				if !exists {
					compare("fetch", err, otp.ErrNotFound)
				} else if diff := rowDiff(got, want, true); err != nil || diff != "" {
					rt.Fatalf("fetch: %s (%v)", diff, err)
				}
			},
		})
	})
	expectLines(t, allLines(t, s.Reader), m.lines)
}
