package storetest

import (
	"errors"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// A write without secrets leaves those that are stored, and the count of unread answers in them, whatever else it changes.
func testSameVault(t *testing.T, s Instance) {
	ctx := t.Context()
	first := write("alice", 1)
	first.Row.UnreadAnswers = 2
	must(t, s.Create(ctx, first))
	same := func(revision uint64) otp.Write {
		w := write("alice", revision)
		w.SameSecrets, w.Row.Secrets = true, secret.Bytes{}
		return w
	}
	expect := func(w otp.Write) {
		t.Helper()
		w.Row.Secrets = first.Row.Secrets
		got := fetch(t, s, "alice")
		expectRow(t, got, w.Row, true)
		if got.UnreadAnswers != 2 {
			t.Errorf("%d unread answers, want 2", got.UnreadAnswers)
		}
	}
	second, third, fourth := same(2), same(3), same(4)
	for range 2 { // a repeat is the same as once
		must(t, s.Replace(ctx, second))
	}
	expect(second)
	third.Claim = &otp.Claim{Serial: "phone/_/1", Active: true} // which not every store writes in the same way
	must(t, s.Replace(ctx, third))
	expect(third)
	if _, err := s.Update(ctx, "alice", "", func(otp.Snapshot) otp.Decision { return otp.Decision{Write: &fourth} }); err != nil {
		t.Errorf("an update that names no vault: %v", err)
	}
	expect(fourth)
	if err := s.Replace(ctx, same(9)); !errors.Is(err, otp.ErrConflict) {
		t.Errorf("a write that does not fit: %v", err)
	}
	last := write("alice", 5)
	must(t, s.Replace(ctx, last))
	expectRow(t, fetch(t, s, "alice"), last.Row, true)
}
