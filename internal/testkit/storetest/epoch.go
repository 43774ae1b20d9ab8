package storetest

import (
	"errors"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// testEpoch checks that raising the epoch puts every device in doubt, in one write, and that a write ends it for its own device.
func testEpoch(t *testing.T, s Instance) {
	first := wantEpoch(t, s, 1, "")
	if !first.Since.IsZero() {
		t.Errorf("the first epoch began at %v", first.Since)
	}
	for _, account := range []otp.Account{"alice", "bob"} {
		must(t, s.Create(t.Context(), inEpoch(write(account, 1), 1)))
	}
	must(t, s.Create(t.Context(), inEpoch(write("without a device", 1), 0)))
	wantBehind(t, s, 0)

	must(t, s.Reader.RaiseEpoch(t.Context(), raising("restore")))
	raised := wantEpoch(t, s, 2, "restore")
	if raised.Since.IsZero() {
		t.Error("it is not known when the epoch was raised")
	}
	wantBehind(t, s, 2)
	if lines := allLines(t, s.Reader); len(lines) != 4 || lines[3].Action != "restore" || !lines[3].At.Equal(raised.Since) {
		t.Errorf("the audit log has %d entries, and the last is %+v", len(lines), lines[len(lines)-1])
	}
	wantRowEpoch(t, s, "alice", 1)

	must(t, s.Replace(t.Context(), write("alice", 2))) // which says nothing of the epoch
	wantRowEpoch(t, s, "alice", 1)
	must(t, s.Replace(t.Context(), inEpoch(write("alice", 3), 2)))
	wantRowEpoch(t, s, "alice", 2)
	wantRowEpoch(t, s, "bob", 1)
	wantBehind(t, s, 1)

	must(t, s.Create(t.Context(), inEpoch(write("carol", 1), 2)))
	wantBehind(t, s, 1)
	s = s.Reopen(t)
	must(t, s.Reader.RaiseEpoch(t.Context(), raising("doubt")))
	wantEpoch(t, s, 3, "doubt")
	wantBehind(t, s, 3)
}

func inEpoch(w otp.Write, epoch uint64) otp.Write {
	w.Epoch = &epoch
	return w
}

func raising(action string) otp.AuditEntry {
	return otp.AuditEntry{Caller: "test", Action: action, Stage: otp.StageOutcome, Outcome: "done"}
}

func wantEpoch(t *testing.T, s Instance, number uint64, cause string) otp.Epoch {
	t.Helper()
	epoch, err := s.Reader.Epoch(t.Context())
	if err != nil || epoch.Number != number || epoch.Cause != cause {
		t.Errorf("the epoch is %+v (%v), want number %d because of %q", epoch, err, number, cause)
	}
	return epoch
}

// wantRowEpoch checks what every read returns of the account's epoch.
func wantRowEpoch(t *testing.T, s Instance, account otp.Account, want uint64) {
	t.Helper()
	epoch, err := s.Reader.Epoch(t.Context())
	must(t, err)
	epoch.Cause = ""
	for how, row := range everyRead(t, s, account) {
		if row.Epoch != want || row.StoreEpoch != epoch {
			t.Errorf("%s of %s returns epoch %d in %+v, want %d in %+v", how, account, row.Epoch, row.StoreEpoch, want, epoch)
		}
	}
	missing, _, err := s.Fetch(t.Context(), "unknown")
	found, errFound := Snapshot(t.Context(), s, "unknown", "key")
	if !errors.Is(err, otp.ErrNotFound) || errFound != nil || missing.StoreEpoch != epoch || found.Row.StoreEpoch != epoch {
		t.Errorf("of an unknown account, %+v (%v) and %+v (%v) are returned, want epoch %+v", missing, err, found.Row, errFound, epoch)
	}
}

// wantBehind checks how many listed rows are of an earlier epoch.
func wantBehind(t *testing.T, s Instance, want int) {
	t.Helper()
	rows, err := s.Reader.List(t.Context(), "", 10)
	must(t, err)
	behind := 0
	for _, row := range rows {
		if row.Epoch > 0 && row.Epoch < row.StoreEpoch.Number {
			behind++
		}
	}
	if behind != want {
		t.Errorf("%d devices are of an earlier epoch, want %d", behind, want)
	}
}
