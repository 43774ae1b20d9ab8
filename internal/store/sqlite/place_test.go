package sqlite

import (
	"errors"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// A record whose place another account's has taken is found all the same, and neither is taken for the other.
func TestAPlaceThatIsTaken(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	first, second := benchWrite(1, 1), benchWrite(2, 1)
	must(s.Create(t.Context(), first))
	_, err := s.db.ExecContext(t.Context(), "UPDATE device SET place = ?", placeArgs(second.Row.Account)[0])
	must(err)
	if _, _, err := s.Fetch(t.Context(), second.Row.Account); !errors.Is(err, otp.ErrNotFound) {
		t.Errorf("before there is one, fetch says %v", err)
	}
	if err := s.Replace(t.Context(), benchWrite(2, 2)); !errors.Is(err, otp.ErrConflict) {
		t.Errorf("before there is one, replace says %v", err)
	}
	must(s.Create(t.Context(), second))
	for caller, account := range map[int]otp.Account{1: first.Row.Account, 2: second.Row.Account} {
		if err := s.Create(t.Context(), benchWrite(caller, 1)); !errors.Is(err, otp.ErrExists) {
			t.Errorf("another create says %v", err)
		}
		if err := s.Replace(t.Context(), benchWrite(caller, 3)); !errors.Is(err, otp.ErrConflict) {
			t.Errorf("replace of what is not there says %v", err)
		}
		must(s.Replace(t.Context(), benchWrite(caller, 2)))
		row, _, err := s.Fetch(t.Context(), account)
		if err != nil || row.Account != account || row.Revision != 2 {
			t.Errorf("fetch gives %s at %d, %v", row.Account, row.Revision, err)
		}
	}
}
