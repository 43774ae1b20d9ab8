package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

func testVerbs(t *testing.T, s Instance) {
	ctx := t.Context()
	expect := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Fatalf("%s: the error is %v, want %v", what, got, want)
		}
	}
	first, second, third := write("alice", 1), write("alice", 2), write("alice", 3)
	rival, late := write("alice", 2), write("alice", 1)

	_, _, err := s.Fetch(ctx, "alice")
	expect("fetch before create", err, otp.ErrNotFound)
	expect("replace before create", s.Replace(ctx, second), otp.ErrConflict)
	expect("create", s.Create(ctx, first), nil)
	expect("create repeated", s.Create(ctx, first), nil)
	expectRow(t, fetch(t, s, "alice"), first.Row, true)
	expect("create of another", s.Create(ctx, late), otp.ErrExists)
	expect("replace two revisions ahead", s.Replace(ctx, third), otp.ErrConflict)
	expectRow(t, fetch(t, s, "alice"), first.Row, true)
	expect("replace", s.Replace(ctx, second), nil)
	expect("replace repeated", s.Replace(ctx, second), nil)
	expect("replace of a rival", s.Replace(ctx, rival), otp.ErrConflict)
	expectRow(t, fetch(t, s, "alice"), second.Row, true)
	expect("what was refused before fits now", s.Replace(ctx, third), nil)
	expect("replace repeated after a later one", s.Replace(ctx, second), nil)
	expect("create repeated after a later one", s.Create(ctx, first), nil)
	expect("the rival again", s.Replace(ctx, rival), otp.ErrConflict)
	expectRow(t, fetch(t, s, "alice"), third.Row, true)
	settle := write("alice", 4)
	settle.AuditEntry.Stage = otp.StageOutcome
	expect("settle", s.Replace(ctx, settle), nil)
	alike := settle
	alike.ID = uuid.NewString()
	expect("another write of the same row", s.Replace(ctx, alike), otp.ErrConflict)

	_, _, err = s.Fetch(ctx, "bob")
	expect("fetch of another account", err, otp.ErrNotFound)
	expectLines(t, allLines(t, s.Reader), []otp.AuditEntry{first.AuditEntry, second.AuditEntry, third.AuditEntry, settle.AuditEntry})
}

// A row that was restored, and changed again up to the same revision, is told from the one that a writer has seen by its body.
func testOver(t *testing.T, s Instance) {
	ctx := t.Context()
	first := write("alice", 1)
	must(t, s.Create(ctx, first))
	for i, claim := range []*otp.Claim{nil, {Serial: "over", Active: true}} { // which not every store writes in the same way
		for j, keep := range []*otp.KeyedResponse{nil, {Key: strings.Repeat("0", 64), StoredResponse: otp.StoredResponse{At: noon, Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("a"))}}} {
			before := fetch(t, s, "alice")
			w := write("alice", before.Revision+1)
			w.Claim, w.Response, w.Over = claim, keep, []byte("another body")
			if err := s.Replace(ctx, w); !errors.Is(err, otp.ErrConflict) {
				t.Errorf("%d, %d: a replace of another body: %v", i, j, err)
			}
			expectRow(t, fetch(t, s, "alice"), before, true)
			w.Over = before.Body
			for range 2 { // a repeat is the same as once
				must(t, s.Replace(ctx, w))
			}
			expectRow(t, fetch(t, s, "alice"), w.Row, true)
		}
	}
}

// A write that breaks the form that otp.Write has is a mistake of the caller: it is refused with whatever error, and
// nothing of it is stored.
func testMalformed(t *testing.T, s Instance) {
	first := write("alice", 1)
	must(t, s.Create(t.Context(), first))

	reused := write("alice", 2)
	reused.ID = first.ID
	noID, longID := write("alice", 2), write("alice", 2)
	noID.ID, longID.ID = "", strings.Repeat("x", 65)
	for name, w := range map[string]otp.Write{
		"an id that another write has": reused, "no id": noID, "an id of 65 characters": longID,
		"revision 1 over nothing": write("alice", 1), "revision 0": write("alice", 0),
	} {
		err := s.Replace(t.Context(), w)
		if err == nil {
			t.Errorf("replace with %s is taken", name)
		}
		if w.ID == first.ID && !errors.Is(err, otp.ErrConflict) { // as after the row was restored
			t.Errorf("replace with %s: %v", name, err)
		}
	}
	noID.Row.Account, longID.Row.Account, reused.Row.Account = "bob", "bob", "bob"
	noID.Row.Revision, longID.Row.Revision, reused.Row.Revision = 1, 1, 1
	for name, w := range map[string]otp.Write{
		"an id that another write has": reused, "no id": noID, "an id of 65 characters": longID,
		"revision 2": write("bob", 2), "revision 0": write("bob", 0), "no account": write("", 1),
	} {
		if err := s.Create(t.Context(), w); err == nil {
			t.Errorf("create with %s is taken", name)
		}
	}
	expectRow(t, fetch(t, s, "alice"), first.Row, true)
	if _, _, err := s.Fetch(t.Context(), "bob"); !errors.Is(err, otp.ErrNotFound) {
		t.Errorf("after refused creates, fetch says %v", err)
	}
	expectLines(t, allLines(t, s.Reader), []otp.AuditEntry{first.AuditEntry})
}
