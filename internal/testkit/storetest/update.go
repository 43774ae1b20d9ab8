package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// next decides to store a row over the one that it is given, whatever that is.
func next(found otp.Snapshot) otp.Decision {
	w := write(found.Row.Account, found.Row.Revision+1)
	return otp.Decision{Write: &w, Result: w.Row.Revision}
}

// An Update decides on what is stored, and stores what was decided, or nothing.
func testUpdate(t *testing.T, s Instance) {
	ctx := t.Context()
	found, err := Snapshot(ctx, s, "alice", keepKey("a"))
	must(t, err)
	if found.Row.Account != "alice" || found.Row.Revision != 0 || found.Response != nil || found.Now.IsZero() {
		t.Errorf("the snapshot of an account without a row is %+v", found)
	}
	var lines []otp.AuditEntry
	for revision := uint64(1); revision <= 3; revision++ {
		d, err := s.Update(ctx, "alice", "", next)
		must(t, err)
		if d.Result != revision || d.Write == nil {
			t.Fatalf("the decision is %+v, want one with the result %d", d, revision)
		}
		lines = append(lines, d.Write.AuditEntry)
		expectRow(t, fetch(t, s, "alice"), d.Write.Row, true)
	}
	kept := keeping(4, keepKey("a"), "an OTP", true)
	must(t, s.Replace(ctx, kept))
	found, err = Snapshot(ctx, s, "alice", keepKey("a"))
	must(t, err)
	expectRow(t, found.Row, kept.Row, true)
	if found.Response == nil || string(found.Response.Answer.Reveal()) != "an OTP" {
		t.Errorf("the snapshot has the response %+v", found.Response)
	}
	if found, err = Snapshot(ctx, s, "alice", keepKey("b")); err != nil || found.Response != nil {
		t.Errorf("the snapshot of another call has the response %+v (%v)", found.Response, err)
	}
	expectLines(t, allLines(t, s.Reader), append(lines, kept.AuditEntry))
}

// A decision that cannot be stored leaves everything as it was, and so does one that panics: the store goes on.
func testUpdateRefused(t *testing.T, s Instance) {
	ctx := t.Context()
	must(t, s.Create(ctx, claiming("bob", 1, otp.Claim{Serial: "phone/_/1", Active: true})))
	first := write("alice", 1)
	must(t, s.Create(ctx, first))
	repeated := func(found otp.Snapshot) otp.Decision {
		w := first
		w.Row.Revision = found.Row.Revision + 1
		return otp.Decision{Write: &w}
	}
	for name, test := range map[string]struct {
		decide func(otp.Snapshot) otp.Decision
		want   error
	}{
		"a claim of another account": {func(found otp.Snapshot) otp.Decision {
			w := claiming("alice", found.Row.Revision+1, otp.Claim{Serial: "phone/_/1", Active: true})
			return otp.Decision{Write: &w}
		}, otp.ErrDeviceTaken},
		"a revision that does not follow": {func(found otp.Snapshot) otp.Decision {
			w := write("alice", found.Row.Revision+2)
			return otp.Decision{Write: &w}
		}, otp.ErrConflict},
		"a first row of an account that has one": {func(otp.Snapshot) otp.Decision {
			w := write("alice", 1)
			return otp.Decision{Write: &w}
		}, otp.ErrExists},
		"an id that an earlier write has": {repeated, otp.ErrConflict},
		"a panic":                         {func(otp.Snapshot) otp.Decision { panic("on purpose") }, otp.ErrNotApplied},
		"an id that is too long": {func(found otp.Snapshot) otp.Decision {
			w := write("alice", found.Row.Revision+1)
			w.ID = strings.Repeat("x", 65)
			return otp.Decision{Write: &w}
		}, nil},
	} {
		d, err := s.Update(ctx, "alice", "", test.decide)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if decided := d.Write != nil; decided == (name == "a panic") {
			t.Errorf("%s: the decision is %+v", name, d)
		}
		expectRow(t, fetch(t, s, "alice"), first.Row, true)
	}
	_, err := s.Update(ctx, "alice", "", next)
	must(t, err)
}

// However many update one account at once, each that succeeds has decided on the row that the one before it has stored.
func testUpdateTogether(t *testing.T, s Instance) {
	const callers, each = 8, 5
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		stored = map[uint64]bool{}
	)
	for range callers {
		all.Go(func() {
			for range each {
				d, err := s.Update(t.Context(), "alice", "", next)
				switch {
				case err == nil:
					mu.Lock()
					if stored[d.Write.Row.Revision] {
						t.Errorf("revision %d was stored twice", d.Write.Row.Revision)
					}
					stored[d.Write.Row.Revision] = true
					mu.Unlock()
				case !errors.Is(err, otp.ErrConflict) && !errors.Is(err, otp.ErrExists):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if row := fetch(t, s, "alice"); row.Revision != uint64(len(stored)) || len(stored) == 0 {
		t.Errorf("the row has revision %d after %d updates", row.Revision, len(stored))
	}
	if lines := allLines(t, s.Reader); len(lines) != len(stored) {
		t.Errorf("the audit log has %d lines after %d updates", len(lines), len(stored))
	}
}

// An Update that may return early decides on what the one before it has written, whether that is durable yet or not, and its write is
// stored when Pending says so.
func testUpdateEarly(t *testing.T, s Instance) {
	ctx := t.Context()
	var pending []otp.Pending
	for revision := uint64(1); revision <= 3; revision++ {
		d, err := s.Update(ctx, "alice", "", func(found otp.Snapshot) otp.Decision {
			d := next(found)
			d.Early = true
			return d
		})
		must(t, err)
		if d.Result != revision {
			t.Fatalf("the decision is %+v, want one with the result %d", d, revision)
		}
		if d.Pending != nil {
			pending = append(pending, d.Pending)
		}
	}
	for _, p := range pending {
		must(t, p.Wait(ctx))
		must(t, p.Wait(ctx))
	}
	if got := fetch(t, s, "alice").Revision; got != 3 {
		t.Errorf("the row has revision %d, want 3", got)
	}
	d, err := s.Update(ctx, "alice", "", func(found otp.Snapshot) otp.Decision {
		w := write("alice", found.Row.Revision+2)
		return otp.Decision{Write: &w, Early: true}
	})
	if d.Pending != nil || !errors.Is(err, otp.ErrConflict) {
		t.Errorf("a write that does not fit: %v, and pending: %v", err, d.Pending)
	}
}

// An Update of a caller that has left stores nothing if it had not begun, and its decision may come late.
func testUpdateCancelled(t *testing.T, s Instance) {
	must(t, s.Create(t.Context(), write("alice", 1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Update(ctx, "alice", "", next); !errors.Is(err, context.Canceled) || !errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("an update of a caller that has left: %v", err)
	}
	for n := range 20 { // each on an account of its own: an update whose outcome is not known may be stored after the next has begun
		account := otp.Account(fmt.Sprint("alice", n))
		must(t, s.Create(t.Context(), write(account, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*100*time.Microsecond)
		_, err := s.Update(ctx, account, "", next)
		cancel()
		if after := fetch(t, s, account).Revision; err == nil && after != 2 || errors.Is(err, otp.ErrNotApplied) && after != 1 {
			t.Errorf("after %v, the revision is %d", err, after)
		}
	}
}
