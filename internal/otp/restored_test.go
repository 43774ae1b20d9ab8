package otp

import (
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// rowOf is the row of a record, with a vault that cannot be read.
func rowOf(t *testing.T, r Record) Row {
	t.Helper()
	row, err := encode(&r, false)
	if err != nil {
		t.Fatal(err)
	}
	row.Secrets, row.Claim = secret.NewBytes([]byte("sealed")), r.claim()
	return row
}

func recordOf(t *testing.T, row Row) Record {
	t.Helper()
	r, err := decodeBody(row)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A restored device is free, whatever it was in the backup, and nothing that was counted since is forgotten.
func TestRestoredRowsForgetNothing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	backup := Record{
		Account: "alice", Revision: 7, Serial: "s", Tenure: 1, Step: 3, Activations: 4, Device: &Device{Origin: "o"},
		Lease: &Lease{Conversation: "under way", Revision: 7, Since: at(-1), Until: at(1)},
		Guard: Guard{Attempts: []Attempt{{Conversation: "under way", At: at(-1)}}},
		Quota: Quota{Issues: []Issue{{"a", at(-9)}}},
	}
	since := backup
	since.Revision, since.Step, since.Lease, since.Activations = 20, 9, nil, 5
	since.Guard = Guard{Wrong: 1, WrongAt: at(-2)}
	since.Quota = Quota{Issues: []Issue{{"a", at(-9)}, {"b", at(-3)}}}
	renamed := Record{Account: "bob", Revision: 99, Serial: "s", Tenure: 2, Guard: Guard{Wrong: 2, WrongAt: at(-1)}, Quota: Quota{Issues: []Issue{{"c", at(-1)}}}}

	row, err := Restored(rowOf(t, backup), []Row{rowOf(t, since), rowOf(t, renamed)})
	if err != nil {
		t.Fatal(err)
	}
	if string(row.Secrets.Reveal()) != "sealed" || row.InDoubt || !row.LeasedUntil.IsZero() || row.Revision != 21 {
		t.Errorf("the row is %+v", row)
	}
	r := recordOf(t, row)
	if r.Lease != nil || r.Step != 3 || r.Activations != 5 || r.Tenure != 2 {
		t.Errorf("the record is %+v", r)
	}
	if r.Guard.Wrong != 2 || !r.Guard.WrongAt.Equal(at(-1)) || len(r.Guard.Attempts) != 1 || len(r.Quota.Issues) != 3 {
		t.Errorf("counted are %+v and %+v", r.Guard, r.Quota)
	}
}

// Where it is not known what was counted since, one guess is left, and more wrong PINs of the backup stay.
func TestRestoredRowsHaveOneGuess(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	for _, tc := range []struct{ attempts, wrong, want int }{{0, 0, 0}, {1, 0, 0}, {2, 0, 1}, {3, 0, 2}, {2, 1, 1}, {2, 2, 2}} {
		wrongAt := now.Add(-time.Hour)
		backup := Record{Account: "alice", Revision: 1, Device: &Device{}, Guard: Guard{Wrong: tc.wrong, WrongAt: wrongAt}}
		row, err := RestoredUnknown(rowOf(t, backup), now, GuardLimits{Attempts: tc.attempts})
		if err != nil {
			t.Fatal(err)
		}
		if tc.want > tc.wrong {
			wrongAt = now
		}
		if r := recordOf(t, row); r.Guard.Wrong != tc.want || !r.Guard.WrongAt.Equal(wrongAt) {
			t.Errorf("%+v: the guard is %+v", tc, r.Guard)
		}
	}
}

// An account that the backup does not have keeps its serial and its counts, and no device.
func TestRemainsOfAnAccount(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	since := Record{
		Account: "bob", Revision: 3, Serial: "s", Activations: 2, Device: &Device{Origin: "o"}, Doubt: &Doubt{},
		Guard: Guard{Wrong: 1}, Quota: Quota{Issues: []Issue{{"a", now}}}, Blocking: PINBlocked,
	}
	row, err := Remains(rowOf(t, since), GuardLimits{})
	if err != nil {
		t.Fatal(err)
	}
	r := recordOf(t, row)
	if !row.Secrets.IsEmpty() || row.InDoubt || row.Epoch != 0 || row.Claim != (Claim{Serial: "s"}) || r.Device != nil ||
		r.Serial != "s" || r.Activations != 2 || r.Guard.Wrong != 1 || len(r.Quota.Issues) != 1 || r.Blocking != "" {
		t.Errorf("what remains is %+v of %+v", r, row)
	}
	if _, err := Decode(row); err != nil {
		t.Error(err)
	}
}

// A record that is damaged is named; one of the replaced store hides nothing else.
func TestRestoringDamagedRecords(t *testing.T) {
	t.Parallel()
	good := rowOf(t, Record{Account: "alice", Revision: 1, Device: &Device{}})
	bad := Row{Account: "alice", Revision: 5, Body: []byte("{")}
	if _, err := Restored(bad, nil); err == nil || !strings.Contains(err.Error(), `"alice"`) {
		t.Errorf("a damaged record of the backup: %v", err)
	}
	if row, err := Restored(good, []Row{bad}); err != nil || row.Revision != 6 {
		t.Errorf("a damaged record of the replaced store: %+v, %v", row, err)
	}
	bad.Disabled, bad.Claim = true, Claim{Serial: "s", Active: true}
	row, err := Remains(bad, GuardLimits{Attempts: 3})
	if err != nil || !row.Disabled || row.Claim.Active {
		t.Fatalf("what remains of a damaged record: %+v, %v", row, err)
	}
	if r := recordOf(t, row); r.Serial != "s" || !r.Disabled || r.Guard.Wrong != 2 {
		t.Errorf("what remains of a damaged record is %+v", r)
	}
}
