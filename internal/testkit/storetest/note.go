package storetest

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// Lines that come with no record are in the log as others do, at the store's time.
func testNote(t *testing.T, s Instance) {
	first := write("alice", 1)
	must(t, s.Create(t.Context(), first))
	refused, stranger := write("alice", 1).AuditEntry, write("alice", 1).AuditEntry
	stranger.Account = ""
	_, before, _ := s.Fetch(t.Context(), "alice")
	must(t, s.AppendAudit(t.Context(), []otp.AuditEntry{refused, stranger}))
	_, after, _ := s.Fetch(t.Context(), "alice")
	lines := allLines(t, s.Reader)
	for i := 1; i < len(lines); i++ {
		if at := lines[i].At; at.Before(before) || at.After(after) {
			t.Errorf("a line is noted at %v, which is not between %v and %v", at, before, after)
		}
		lines[i].At = noon
	}
	expectLines(t, lines, []otp.AuditEntry{first.AuditEntry, refused, stranger})
}

// The oldest lines go, and those that are left keep their ids.
func testForgetLines(t *testing.T, s Instance) {
	w := write("alice", 1)
	must(t, s.Create(t.Context(), w))
	for revision := uint64(2); revision < 10; revision++ {
		next := write("alice", revision)
		must(t, s.Replace(t.Context(), next))
	}
	must(t, s.AppendAudit(t.Context(), []otp.AuditEntry{w.AuditEntry}))
	last := allLines(t, s.Reader)[9]
	age := time.Since(noon) - time.Minute // those of the writes are as old as noon
	must(t, s.Reader.ForgetLines(t.Context(), age+time.Hour))
	if got := allLines(t, s.Reader); len(got) != 10 {
		t.Errorf("%d lines are left, and none was old enough", len(got))
	}
	must(t, s.Reader.ForgetLines(t.Context(), age))
	if got := allLines(t, s.Reader); len(got) != 1 || got[0] != last {
		t.Errorf("left are %+v, want %+v alone", got, last)
	}
	must(t, s.Replace(t.Context(), write("alice", 10)))
	if got := allLines(t, s.Reader); len(got) != 2 || got[1].ID <= last.ID {
		t.Errorf("after a line was forgotten, the next is %+v", got)
	}
	newest := allLines(t, s.Reader)[1].ID
	must(t, s.Reader.ForgetLines(t.Context(), -time.Hour)) // all of them
	must(t, s.Replace(t.Context(), write("alice", 11)))
	if got := allLines(t, s.Reader); len(got) > 2 || got[len(got)-1].ID <= newest {
		t.Errorf("after all lines were forgotten, up to %d, there are %+v", newest, got)
	}
}

// A line from the future, which a clock left that was wrong for a while, does not keep older ones behind it.
func testForgetLinesFromTheFuture(t *testing.T, s Instance) {
	must(t, s.Create(t.Context(), write("alice", 1)))
	ahead := write("alice", 2)
	ahead.AuditEntry.At = time.Now().AddDate(10, 0, 0)
	must(t, s.Replace(t.Context(), ahead))
	for revision := uint64(3); revision < 6; revision++ {
		must(t, s.Replace(t.Context(), write("alice", revision)))
	}
	must(t, s.AppendAudit(t.Context(), []otp.AuditEntry{ahead.AuditEntry}))
	newest := allLines(t, s.Reader)[5]
	for range 2 { // a store may need another call to find out what is from the future
		must(t, s.Reader.ForgetLines(t.Context(), time.Since(noon)-time.Minute))
	}
	lines := allLines(t, s.Reader)
	for _, line := range lines {
		if line.At.Equal(noon) {
			t.Errorf("an old line is left: %+v", line)
		}
	}
	if len(lines) == 0 || lines[len(lines)-1] != newest {
		t.Errorf("the newest line is not left: %+v", lines)
	}
}
