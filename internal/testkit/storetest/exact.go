package storetest

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// oddAccounts would mean something to SQL, to a shell, or to a sloppy comparison.
func oddAccounts() []otp.Account {
	return []otp.Account{
		"a", "A", " a", "a ", "a  b", "%", "_", "a%", "'", `"`, "''; DROP TABLE device; --", `\`, `\x00`, "$1", "?1", ":a", "0", "00", "NULL",
		"~", " ", otp.Account(strings.Repeat("x", 127)), otp.Account(strings.Repeat("x", 128)), "953cfefb-bc72", "a/b?c#d", "{}", "a@example.org",
	}
}

func testExactRows(t *testing.T, s Instance) {
	accounts := oddAccounts()
	rows := map[otp.Account]otp.Row{}
	for _, account := range accounts {
		w := write(account, 1)
		must(t, s.Create(t.Context(), w))
		rows[account] = w.Row
	}
	for _, account := range accounts {
		expectRow(t, fetch(t, s, account), rows[account], true)
	}
	rapid.Check(t, func(rt *rapid.T) {
		account := rapid.SampledFrom(accounts).Draw(rt, "account")
		w := write(account, rows[account].Revision+1)
		w.Row.InDoubt = rapid.Bool().Draw(rt, "in doubt")
		w.Row.LeasedUntil = drawTime(rt, "held until")
		w.Row.Body = rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
		w.Row.Secrets = secret.NewBytes(rapid.SliceOf(rapid.Byte()).Draw(rt, "vault"))
		must(t, s.Replace(t.Context(), w))
		rows[account] = w.Row
		if diff := rowDiff(fetch(t, s, account), w.Row, true); diff != "" {
			rt.Fatal(diff)
		}
	})
	for _, account := range accounts {
		expectRow(t, fetch(t, s, account), rows[account], true)
	}
}

// drawTime returns the zero time, or one to the nanosecond between 1970 and 2200, in one zone or another.
func drawTime(rt *rapid.T, name string) time.Time {
	if rapid.Bool().Draw(rt, name+" is zero") {
		return time.Time{}
	}
	zone := time.FixedZone("somewhere", rapid.IntRange(-12, 14).Draw(rt, "zone")*3600)
	return time.Unix(0, rapid.Int64Range(1, 7_258_118_400_000_000_000).Draw(rt, name)).In(zone)
}

func testExactLines(t *testing.T, s Instance) {
	var want []otp.AuditEntry
	for i, account := range oddAccounts() {
		w := write(account, 1)
		w.AuditEntry = otp.AuditEntry{
			At:      noon.Add(time.Duration(i) * time.Microsecond).In(time.FixedZone("somewhere", 3600)),
			Account: account,
			Caller:  "key:" + string(account),
			Action:  "enroll",
			Stage:   otp.StageOutcome,
			Outcome: "refused: 'quoted'",
			Step:    math.MaxInt64 - uint64(i),
		}
		if i%2 == 0 {
			w.AuditEntry.Transaction, w.AuditEntry.Stage, w.AuditEntry.Outcome, w.AuditEntry.Step = uuid.NewString(), otp.StageAttempt, "", 0
		}
		must(t, s.Create(t.Context(), w))
		want = append(want, w.AuditEntry)
	}
	lines := allLines(t, s.Reader)
	expectLines(t, lines, want)
	rest, err := s.Reader.AuditAfter(t.Context(), lines[len(lines)-2].ID, 10)
	must(t, err)
	expectLines(t, rest, want[len(want)-1:])
}

func testLongest(t *testing.T, s Instance) {
	w := write(otp.Account(strings.Repeat("~", 128)), 1)
	w.ID = strings.Repeat("i", 64)
	w.Row.Body = bytes.Repeat([]byte{0}, 256<<10)
	w.Row.Secrets = secret.NewBytes(slices.Repeat([]byte{0xff, 0, '\''}, 64<<10))
	w.AuditEntry.Caller = strings.Repeat("c", 300)
	must(t, s.Create(t.Context(), w))
	must(t, s.Create(t.Context(), w))
	expectRow(t, fetch(t, s, w.Row.Account), w.Row, true)

	w = write(w.Row.Account, 2)
	w.Row.Body, w.Row.Secrets = nil, secret.Bytes{}
	must(t, s.Replace(t.Context(), w))
	if row := fetch(t, s, w.Row.Account); len(row.Body) != 0 || !row.Secrets.IsEmpty() {
		t.Errorf("an empty row comes back with a body of %d bytes, and a vault that is empty: %v", len(row.Body), row.Secrets.IsEmpty())
	}
}
