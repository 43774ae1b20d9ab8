package storetest

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

func claiming(account otp.Account, revision uint64, claim otp.Claim) otp.Write {
	w := write(account, revision)
	w.Claim = &claim
	return w
}

// A device is the active one of at most one account, and a claim lasts until a write changes it.
func testClaims(t *testing.T, s Instance) {
	ctx := t.Context()
	active, released := otp.Claim{Serial: "phone/_/1", Active: true}, otp.Claim{Serial: "phone/_/1"}
	expectClaims := func(want map[otp.Account]otp.Claim) {
		t.Helper()
		rows, err := s.BySerial(ctx, active.Serial)
		must(t, err)
		for _, row := range rows {
			if row.Claim != want[row.Account] || !row.Secrets.IsEmpty() || len(row.Body) == 0 {
				t.Errorf("the claim of %s is %+v, want %+v", row.Account, row.Claim, want[row.Account])
			}
		}
		if len(rows) != len(want) {
			t.Errorf("%d accounts have or had the device, want %d", len(rows), len(want))
		}
	}
	must(t, s.Create(ctx, claiming("alice", 1, active)))
	must(t, s.Create(ctx, write("bob", 1)))
	must(t, s.Create(ctx, claiming("dave", 1, otp.Claim{})))
	must(t, s.Create(ctx, claiming("erin", 1, otp.Claim{Active: true})))
	must(t, s.Create(ctx, claiming("frank", 1, otp.Claim{Active: true})))
	for name, refused := range map[string]error{
		"create":  s.Create(ctx, claiming("carol", 1, active)),
		"replace": s.Replace(ctx, claiming("bob", 2, active)),
	} {
		if !errors.Is(refused, otp.ErrDeviceTaken) {
			t.Errorf("%s with the device of another account: %v", name, refused)
		}
	}
	if err := s.Replace(ctx, claiming("bob", 3, active)); !errors.Is(err, otp.ErrConflict) {
		t.Errorf("a write that fits neither revision nor claim: %v", err)
	}
	if _, _, err := s.Fetch(ctx, "carol"); !errors.Is(err, otp.ErrNotFound) || fetch(t, s, "bob").Revision != 1 {
		t.Errorf("a refused claim has stored something (%v)", err)
	}
	must(t, s.Replace(ctx, write("alice", 2)))
	expectClaims(map[otp.Account]otp.Claim{"alice": active})
	must(t, s.Replace(ctx, claiming("alice", 3, released)))
	must(t, s.Replace(ctx, claiming("bob", 2, active)))
	expectClaims(map[otp.Account]otp.Claim{"alice": released, "bob": active})
	if err := s.Replace(ctx, claiming("alice", 4, active)); !errors.Is(err, otp.ErrDeviceTaken) {
		t.Errorf("taking a device back: %v", err)
	}
	s = s.Reopen(t)
	expectClaims(map[otp.Account]otp.Claim{"alice": released, "bob": active})
	rows, err := s.Reader.List(ctx, "", 10)
	must(t, err)
	if rows[0].Claim != released || rows[1].Claim != active {
		t.Errorf("the list has the claims %+v and %+v", rows[0].Claim, rows[1].Claim)
	}
	if alice, bob := fetch(t, s, "alice").Claim, fetch(t, s, "bob").Claim; alice != released || bob != active {
		t.Errorf("fetch returns the claims %+v and %+v", alice, bob)
	}
	testOneClaim(t, s)
}

// The row that a write of another claim replaces is found by the serial of before.
func testFormerDevices(t *testing.T, s Instance) {
	ctx := t.Context()
	first, second := otp.Claim{Serial: "phone/_/1", Active: true}, otp.Claim{Serial: "phone/_/2", Active: true}
	released := otp.Claim{Serial: first.Serial}
	bodies := map[uint64][]byte{} // of alice, by revision
	replace := func(w otp.Write) {
		t.Helper()
		bodies[w.Row.Revision] = w.Row.Body
		must(t, s.Replace(ctx, w))
		must(t, s.Replace(ctx, w)) // a repeat
	}
	expect := func(serial string, want ...otp.Row) {
		t.Helper()
		rows, err := s.BySerial(ctx, serial)
		must(t, err)
		for i := range min(len(rows), len(want)) {
			got := rows[i]
			if got.Account != want[i].Account || got.Revision != want[i].Revision || got.Claim != want[i].Claim ||
				got.Former != want[i].Former || !got.Secrets.IsEmpty() || got.InDoubt || !got.LeasedUntil.IsZero() ||
				got.Account == "alice" && !bytes.Equal(got.Body, bodies[got.Revision]) {
				t.Errorf("row %d of %s is %+v, want %+v", i, serial, got, want[i])
			}
		}
		if len(rows) != len(want) {
			t.Errorf("%s has %d rows, want %d", serial, len(rows), len(want))
		}
	}
	former := func(account otp.Account, revision uint64) otp.Row {
		return otp.Row{Account: account, Revision: revision, Claim: released, Former: true}
	}
	must(t, s.Create(ctx, claiming("alice", 1, otp.Claim{})))
	replace(claiming("alice", 2, first))
	replace(claiming("alice", 3, released))
	expect(first.Serial, otp.Row{Account: "alice", Revision: 3, Claim: released})
	replace(claiming("alice", 4, second))
	replace(write("alice", 5))
	expect(first.Serial, former("alice", 3))
	expect(second.Serial, otp.Row{Account: "alice", Revision: 5, Claim: second})
	if err := s.Replace(ctx, claiming("alice", 5, otp.Claim{Serial: "phone/_/3"})); !errors.Is(err, otp.ErrConflict) {
		t.Errorf("a write that does not fit: %v", err)
	}
	must(t, s.Create(ctx, claiming("bob", 1, first)))
	expect(first.Serial, former("alice", 3), otp.Row{Account: "bob", Revision: 1, Claim: first})
	must(t, s.Replace(ctx, claiming("bob", 2, released)))
	replace(claiming("alice", 6, released))
	replace(claiming("alice", 7, otp.Claim{Serial: "phone/_/3"}))
	s = s.Reopen(t)
	expect(first.Serial, former("alice", 6), otp.Row{Account: "bob", Revision: 2, Claim: released})
	expect(second.Serial, otp.Row{Account: "alice", Revision: 5, Claim: otp.Claim{Serial: second.Serial}, Former: true})
	expect("phone/_/3", otp.Row{Account: "alice", Revision: 7, Claim: otp.Claim{Serial: "phone/_/3"}})
}

// Of many accounts that claim one device at the same time, one gets it.
func testOneClaim(t *testing.T, s Instance) {
	t.Helper()
	claim := otp.Claim{Serial: "phone/_/2", Active: true}
	accounts := []otp.Account{"p", "q", "r", "s"}
	results := make([]error, len(accounts))
	var all sync.WaitGroup
	for i, account := range accounts {
		all.Go(func() { results[i] = s.Create(t.Context(), claiming(account, 1, claim)) })
	}
	all.Wait()
	won := 0
	for i, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, otp.ErrDeviceTaken):
			t.Errorf("%s: %v", accounts[i], err)
		}
	}
	if won != 1 {
		t.Errorf("%d accounts have claimed one device", won)
	}
}

// Unread answers are counted without opening secrets.
func testUnreadAnswers(t *testing.T, s Instance) {
	ctx := t.Context()
	expect := func(want int) {
		t.Helper()
		if got, err := s.Reader.CountUnreadAnswers(ctx); err != nil || got != want {
			t.Errorf("there are %d unread answers (%v), want %d", got, err, want)
		}
	}
	unread := func(account otp.Account, revision uint64, count int) otp.Write {
		w := write(account, revision)
		w.Row.UnreadAnswers = count
		return w
	}
	expect(0)
	must(t, s.Create(ctx, unread("alice", 1, 2)))
	must(t, s.Create(ctx, unread("bob", 1, 1)))
	expect(3)
	if rows, err := s.Reader.List(ctx, "", 1); err != nil || rows[0].UnreadAnswers != 2 {
		t.Errorf("the list has %+v (%v)", rows, err)
	}
	if got := fetch(t, s, "alice").UnreadAnswers; got != 2 {
		t.Errorf("fetch returns %d unread answers, want 2", got)
	}
	must(t, s.Replace(ctx, unread("alice", 2, 0)))
	expect(1)
}
