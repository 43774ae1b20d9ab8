package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

func testCancelled(t *testing.T, s Instance) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, s.Create(t.Context(), write("alice", 1)))
	if _, _, err := s.Fetch(gone, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("fetch says %v", err)
	}
	w := write("alice", 2)
	if err := s.Replace(gone, w); !errors.Is(err, context.Canceled) {
		t.Errorf("replace says %v", err)
	}
	first := write("bob", 1)
	if err := s.Create(gone, first); !errors.Is(err, context.Canceled) {
		t.Errorf("create says %v", err)
	}
	must(t, s.Replace(t.Context(), w))
	must(t, s.Create(t.Context(), first))
	expectRow(t, fetch(t, s, "alice"), w.Row, true)
}

// testCancelledInTheMiddle cancels callers at random moments of their writes: each may or may not have been stored,
// and a repeat finds out; nothing is stored twice, and no other job is disturbed.
func testCancelledInTheMiddle(t *testing.T, s Instance) {
	const callers, writes = 4, 25
	var all sync.WaitGroup
	for i := range callers {
		account := otp.Account(fmt.Sprint("caller ", i))
		must(t, s.Create(t.Context(), write(account, 1)))
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for n := range writes {
				w := write(account, uint64(n+2))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(2000))*time.Microsecond)
				err := s.Replace(ctx, w)
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a write out of time says %v", err)
				}
				if err := s.Replace(t.Context(), w); err != nil {
					t.Errorf("a write repeated says %v", err)
				}
			}
		})
	}
	all.Wait()
	if lines := allLines(t, s.Reader); len(lines) != callers*(writes+1) {
		t.Errorf("the audit log has %d lines, want %d", len(lines), callers*(writes+1))
	}
}

// testOneAccount lets many contend for one row: each success moves the revision by exactly one and is preceded by the
// row that its writer had read.
func testOneAccount(t *testing.T, s Instance) {
	const writers, successes = 16, 10
	must(t, s.Create(t.Context(), write("alice", 1)))
	won := make([][]otp.Write, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for len(won[i]) < successes {
				row, _, err := s.Fetch(t.Context(), "alice")
				if err != nil {
					t.Error(err)
					return
				}
				w := write("alice", row.Revision+1)
				switch err := s.Replace(t.Context(), w); {
				case err == nil:
					won[i] = append(won[i], w)
				case !errors.Is(err, otp.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	writes := slices.Concat(won...)
	slices.SortFunc(writes, func(a, b otp.Write) int { return int(a.Row.Revision) - int(b.Row.Revision) })
	lines := allLines(t, s.Reader)
	if len(writes) != writers*successes || len(lines) != len(writes)+1 {
		t.Fatalf("%d writes were taken and %d lines stored", len(writes), len(lines))
	}
	for i, w := range writes {
		if w.Row.Revision != uint64(i+2) {
			t.Fatalf("the write after %d others has the revision %d", i+1, w.Row.Revision)
		}
		expectLine(t, lines[i+1].AuditEntry, w.AuditEntry)
	}
	expectRow(t, fetch(t, s, "alice"), writes[len(writes)-1].Row, true)
}

func testManyAccounts(t *testing.T, s Instance) {
	const accounts, writes = 32, 10
	var all sync.WaitGroup
	for i := range accounts {
		account := otp.Account(fmt.Sprint("account ", i))
		all.Go(func() {
			if err := s.Create(t.Context(), write(account, 1)); err != nil {
				t.Error(err)
			}
			for n := range writes {
				w := write(account, uint64(n+2))
				if err := s.Replace(t.Context(), w); err != nil {
					t.Error(err)
				}
				expectRow(t, fetch(t, s, account), w.Row, true)
			}
		})
	}
	all.Wait()
	if lines := allLines(t, s.Reader); len(lines) != accounts*(writes+1) {
		t.Errorf("the audit log has %d lines, want %d", len(lines), accounts*(writes+1))
	}
}

// testSameWriteFromMany repeats one write from many at once, among rivals: all of its callers learn the same.
func testSameWriteFromMany(t *testing.T, s Instance) {
	must(t, s.Create(t.Context(), write("alice", 1)))
	for round := range 10 {
		rivals := []otp.Write{write("alice", uint64(round+2)), write("alice", uint64(round+2))}
		answers := make([]error, 16)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = s.Replace(t.Context(), rivals[i%2]) })
		}
		all.Wait()
		winner := 0
		if answers[0] != nil {
			winner = 1
		}
		for i, err := range answers {
			if i%2 == winner && err != nil || i%2 != winner && !errors.Is(err, otp.ErrConflict) {
				t.Errorf("round %d, caller %d, winner %d: %v", round, i, winner, err)
			}
		}
		expectRow(t, fetch(t, s, "alice"), rivals[winner].Row, true)
	}
	if lines := allLines(t, s.Reader); len(lines) != 11 {
		t.Errorf("the audit log has %d lines, want 11", len(lines))
	}
}

// testFollow reads the audit log while others write it, going on after the last id each time: it misses nothing and repeats
// nothing.
func testFollow(t *testing.T, s Instance) {
	const writers, writes = 8, 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := range writes {
				if err := s.Create(t.Context(), write(otp.Account(fmt.Sprint(i, " ", n)), 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	seen := map[otp.Account]bool{}
	var last int64
	for finished := false; ; {
		lines, err := s.Reader.AuditAfter(t.Context(), last, 50)
		must(t, err)
		for _, line := range lines {
			if seen[line.Account] || line.ID <= last {
				t.Errorf("line %d, of %s, comes again or late", line.ID, line.Account)
			}
			last = line.ID
			seen[line.Account] = true
		}
		if finished && len(lines) == 0 {
			break
		}
		select {
		case <-done:
			finished = true
		default:
		}
	}
	if len(seen) != writers*writes {
		t.Errorf("who followed the audit log saw %d lines, want %d", len(seen), writers*writes)
	}
}
