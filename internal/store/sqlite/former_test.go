package sqlite

import (
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// claimAs stores the next row of an account, with an active claim of the serial.
func claimAs(t *testing.T, s *Store, serial string) {
	t.Helper()
	w := benchWrite(1, revision(t, s, benchWrite(1, 1).Row.Account)+1)
	w.Claim = &otp.Claim{Serial: serial, Active: true}
	verb := s.Replace
	if w.Row.Revision == 1 {
		verb = s.Create
	}
	if err := verb(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// A restored store keeps what was counted of devices that accounts had before others, also of those that they got since the backup.
func TestReplacingAStoreKeepsFormerDevices(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	claimAs(t, s, "first")
	claimAs(t, s, "second")
	claimAs(t, s, "third")
	backup := backUpTo(t, s)
	claimAs(t, s, "first")
	claimAs(t, s, "fourth")
	claimAs(t, s, "fifth")
	closeStore(t, s)

	r, err := Replace(t.Context(), dir, backup)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := r.Replaced(t.Context(), otp.Row{Account: "another", Claim: otp.Claim{Serial: "fourth"}})
	if err != nil || len(rows) != 1 || rows[0].Revision != 5 {
		t.Errorf("the replaced store has counted %+v (%v) of a former device", rows, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, unreadable := install(t, dir, backup); unreadable != nil {
		t.Fatal(unreadable)
	}
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	former, err := s.ListFormer(t.Context(), otp.Row{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, row := range former {
		got[row.Claim.Serial] = row.Revision
	}
	for serial, revision := range map[string]uint64{"first": 4, "second": 2, "third": 3, "fourth": 5, "fifth": 6} {
		if got[serial] != revision {
			t.Errorf("of %q revision %d is kept, want %d", serial, got[serial], revision)
		}
	}
}

// Where former devices are damaged, a settle is stored without them.
func TestSettleWhereFormerDevicesAreDamaged(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	claimAs(t, s, "first")
	closeStore(t, s)
	damage(t, dir, "former_device")
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	w := benchWrite(1, 2)
	w.AuditEntry.Stage = otp.StageOutcome
	w.Claim = &otp.Claim{Serial: "second", Active: true}
	if err := s.Replace(t.Context(), w); err != nil {
		t.Error(err)
	}
	if rows, err := s.List(t.Context(), "", 1); err != nil || rows[0].Claim != *w.Claim {
		t.Errorf("the list is %+v (%v)", rows, err)
	}
}
