package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/otp"
)

// testHistory lets random histories happen, each on accounts of its own, and compares every answer with that of a store in memory.
func testHistory(t *testing.T, s Instance) {
	m := NewMemory()
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
		try := func(w otp.Write) { compare("write", put(context.Background(), s, w), put(context.Background(), m, w)) }
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
	var lines []otp.AuditEntry
	for _, line := range m.lines {
		lines = append(lines, line.AuditEntry)
	}
	expectLines(t, allLines(t, s.Reader), lines)
}
