package storetest

import (
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// testDisabled checks that a row says whether its account is disabled, that every kind of write changes that, and that a write which does
// not name it leaves it.
func testDisabled(t *testing.T, s Instance) {
	ctx := t.Context()
	must(t, s.Create(ctx, write("alice", 1)))
	must(t, s.Create(ctx, disabled(write("bob", 1), true)))
	wantDisabled(t, s, "alice", false)
	wantDisabled(t, s, "bob", true)

	revision := uint64(1)
	next := func() otp.Write {
		revision++
		return write("bob", revision)
	}
	for _, want := range []bool{false, true, true} {
		for what, change := range map[string]func(otp.Write) otp.Write{
			"a write": func(w otp.Write) otp.Write { return w },
			"a write of a claim": func(w otp.Write) otp.Write {
				w.Claim = &otp.Claim{Serial: fmt.Sprintf("phone/_/%d", w.Row.Revision), Active: true}
				return w
			},
			"a write of a response": func(w otp.Write) otp.Write {
				w.Response = keeping(w.Row.Revision, fmt.Sprintf("%064x", w.Row.Revision), "an answer", false).Response
				return w
			},
		} {
			must(t, s.Replace(ctx, disabled(change(next()), want)))
			wantDisabled(t, s, "bob", want)
			must(t, s.Replace(ctx, change(next())))
			wantDisabled(t, s, "bob", want)
			if t.Failed() {
				t.Fatalf("after %s", what)
			}
		}
		w := disabled(next(), !want)
		_, err := s.Update(ctx, "bob", "", func(otp.Snapshot) otp.Decision { return otp.Decision{Write: &w} })
		must(t, err)
		wantDisabled(t, s, "bob", !want)
	}
	s = s.Reopen(t)
	wantDisabled(t, s, "bob", false)
	must(t, s.Replace(ctx, disabled(next(), true)))
	wantDisabled(t, s.Reopen(t), "bob", true)
}

func disabled(w otp.Write, is bool) otp.Write {
	w.Disabled = &is
	return w
}

// wantDisabled checks what every read returns of the account.
func wantDisabled(t *testing.T, s Instance, account otp.Account, want bool) {
	t.Helper()
	rows := everyRead(t, s, account)
	if serial := rows["fetch"].Claim.Serial; serial != "" {
		same, err := s.BySerial(t.Context(), serial)
		must(t, err)
		for _, row := range same {
			if row.Account == account && !row.Former {
				rows["find by serial"] = row
			}
		}
	}
	for how, row := range rows {
		if row.Disabled != want {
			t.Errorf("%s of %s returns disabled: %v, want %v", how, account, row.Disabled, want)
		}
	}
}

// everyRead returns the row of the account as each way to read it returns it.
func everyRead(t *testing.T, s Instance, account otp.Account) map[string]otp.Row {
	t.Helper()
	found, err := Snapshot(t.Context(), s, account, "key")
	must(t, err)
	reads := map[string]otp.Row{"fetch": fetch(t, s, account), "update": found.Row}
	rows, err := s.Reader.List(t.Context(), "", 10)
	must(t, err)
	for _, row := range rows {
		if row.Account == account {
			reads["list"] = row
		}
	}
	return reads
}
