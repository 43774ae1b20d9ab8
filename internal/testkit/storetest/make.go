package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// noon is when the writes of the suite happen; no store looks at it.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// write makes a write of that revision, with contents that tell it from all others.
func write(account otp.Account, revision uint64) otp.Write {
	id := uuid.NewString()
	return otp.Write{
		ID: id,
		Row: otp.Row{
			Account:  account,
			Revision: revision,
			Body:     []byte(`{"write":"` + id + `"}`),
			Secrets:  secret.NewBytes([]byte("vault of " + id)),
		},
		AuditEntry: otp.AuditEntry{
			At:          noon,
			Account:     account,
			Caller:      "key:test",
			Transaction: uuid.NewString(),
			Action:      "otp",
			Stage:       otp.StageAttempt,
			Step:        revision,
		},
	}
}

// put creates or replaces, as the revision says.
func put(ctx context.Context, store otp.Store, w otp.Write) error {
	if w.Row.Revision == 1 {
		return store.Create(ctx, w)
	}
	return store.Replace(ctx, w)
}

// must fails the test at once when a step on the way has failed.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fetch returns a row that must be there.
func fetch(t testing.TB, store otp.Store, account otp.Account) otp.Row {
	t.Helper()
	row, _, err := store.Fetch(t.Context(), account)
	must(t, err)
	return row
}

// allLines reads the whole audit log, in small pieces.
func allLines(t testing.TB, reader Reader) (lines []otp.AuditRecord) {
	t.Helper()
	const piece = 7
	var last int64
	for {
		more, err := reader.AuditAfter(t.Context(), last, piece)
		must(t, err)
		if len(more) == 0 {
			return lines
		}
		if len(more) > piece {
			t.Fatalf("AuditAfter gave %d lines, asked for at most %d", len(more), piece)
		}
		for _, line := range more {
			if line.ID <= last {
				t.Fatalf("the audit log gave the id %d after %d", line.ID, last)
			}
			last = line.ID
		}
		lines = append(lines, more...)
	}
}

// expectRow fails unless the rows are alike; secrets are compared when asked for.
func expectRow(t testing.TB, got, want otp.Row, vault bool) {
	t.Helper()
	if diff := rowDiff(got, want, vault); diff != "" {
		t.Errorf("the row of %.40q differs: %s", want.Account, diff)
	}
}

func rowDiff(got, want otp.Row, vault bool) string {
	switch {
	case got.Account != want.Account:
		return fmt.Sprintf("the account is %q, want %q", got.Account, want.Account)
	case got.Revision != want.Revision:
		return fmt.Sprintf("the revision is %d, want %d", got.Revision, want.Revision)
	case got.InDoubt != want.InDoubt:
		return fmt.Sprintf("InDoubt is %v", got.InDoubt)
	case !got.LeasedUntil.Equal(want.LeasedUntil.Truncate(time.Microsecond)):
		return fmt.Sprintf("HeldUntil is %v, want %v", got.LeasedUntil, want.LeasedUntil)
	case !got.LeasedUntil.IsZero() && got.LeasedUntil.Location() != time.UTC:
		return fmt.Sprintf("HeldUntil is not in UTC: %v", got.LeasedUntil)
	case !bytes.Equal(got.Body, want.Body):
		return fmt.Sprintf("the body is %.60q, want %.60q", got.Body, want.Body)
	case vault && !bytes.Equal(got.Secrets.Reveal(), want.Secrets.Reveal()):
		return "the vault is another one"
	}
	return ""
}

// expectLines fails unless the lines are those, in that order.
func expectLines(t testing.TB, got []otp.AuditRecord, want []otp.AuditEntry) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("the audit log has %d lines, want %d", len(got), len(want))
		return
	}
	for i, line := range got {
		expectLine(t, line.AuditEntry, want[i])
	}
}

func expectLine(t testing.TB, got, want otp.AuditEntry) {
	t.Helper()
	if !got.At.Equal(want.At.Truncate(time.Microsecond)) || got.At.Location() != time.UTC {
		t.Errorf("a line's time is %v, want %v in UTC", got.At, want.At)
	}
	got.At, want.At = time.Time{}, time.Time{}
	if got != want {
		t.Errorf("a line is %+v, want %+v", got, want)
	}
}
