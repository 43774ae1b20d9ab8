package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

func testTime(t *testing.T, s Instance) {
	must(t, s.Create(t.Context(), write("alice", 1)))
	var last time.Time
	for _, account := range []otp.Account{"alice", "nobody", "alice", "nobody"} {
		_, now, _ := s.Fetch(t.Context(), account)
		switch {
		case now.IsZero():
			t.Fatalf("fetch of %s gives no time", account)
		case now.Location() != time.UTC || !now.Equal(now.Truncate(time.Microsecond)):
			t.Errorf("the store's time is not UTC in microseconds: %v", now)
		case now.Before(last):
			t.Errorf("the store's time went back from %v to %v", last, now)
		}
		last = now
	}
}

func testReopen(t *testing.T, s Instance) {
	var lines []otp.AuditEntry
	for i := range 20 {
		w := write(otp.Account(fmt.Sprint("account ", i%5)), uint64(i/5+1))
		must(t, put(t.Context(), s, w))
		lines = append(lines, w.AuditEntry)

		s = s.Reopen(t)
		expectRow(t, fetch(t, s, w.Row.Account), w.Row, true)
		must(t, put(t.Context(), s, w))
	}
	expectLines(t, allLines(t, s.Reader), lines)
}

func testList(t *testing.T, s Instance) {
	ctx := t.Context()
	if rows, err := s.Reader.List(ctx, "", 10); err != nil || len(rows) != 0 {
		t.Fatalf("without accounts, List gives %d rows and %v", len(rows), err)
	}
	accounts := oddAccounts()
	want := map[otp.Account]otp.Row{}
	for i, account := range accounts {
		w := write(account, 1)
		w.Row.InDoubt = i%2 == 0
		if i%3 == 0 {
			w.Row.LeasedUntil = noon
		}
		must(t, s.Create(ctx, w))
		want[account] = w.Row
	}
	slices.SortFunc(accounts, func(a, b otp.Account) int { return bytes.Compare([]byte(a), []byte(b)) })

	var got []otp.Row
	for after := otp.Account(""); ; after = got[len(got)-1].Account {
		rows, err := s.Reader.List(ctx, after, 4)
		must(t, err)
		if got = append(got, rows...); len(rows) == 0 || len(got) > len(accounts) {
			break
		}
	}
	if len(got) != len(accounts) {
		t.Fatalf("List gives %d rows, want %d", len(got), len(accounts))
	}
	for i, account := range accounts {
		expectRow(t, got[i], want[account], false)
	}
	if rows, err := s.Reader.List(ctx, "", 4); err != nil || len(rows) != 4 {
		t.Errorf("asked for 4, List gives %d rows and %v", len(rows), err)
	}
	if rows, err := s.Reader.List(ctx, otp.Account(strings.Repeat("~", 128)), 4); err != nil || len(rows) != 0 {
		t.Errorf("after the last account, List gives %d rows and %v", len(rows), err)
	}
}
