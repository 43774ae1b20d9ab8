package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// deciding returns a write that claims the device, and was decided on what is stored of it now.
func deciding(t *testing.T, s Instance, account otp.Account, revision uint64, claim otp.Claim) otp.Write {
	t.Helper()
	rows, err := s.BySerial(t.Context(), claim.Serial)
	must(t, err)
	w := claiming(account, revision, claim)
	w.History = &otp.History{Serial: claim.Serial, Rows: rows}
	return w
}

// A write that was decided on the history of its device is stored only while that holds. A repeat of one that is stored is well.
func testHistoryOfDevice(t *testing.T, s Instance) {
	ctx := t.Context()
	active, released := otp.Claim{Serial: "phone/_/1", Active: true}, otp.Claim{Serial: "phone/_/1"}
	must(t, s.Create(ctx, claiming("alice", 1, released)))
	must(t, s.Create(ctx, write("bob", 1)))
	refused := map[string]error{}
	refuses := func(what string, change func()) {
		t.Helper()
		create, replace := deciding(t, s, "carol", 1, active), deciding(t, s, "bob", 2, active)
		change()
		refused["create after "+what], refused["replace after "+what] = s.Create(ctx, create), s.Replace(ctx, replace)
	}
	refuses("a change of a row", func() { must(t, s.Replace(ctx, write("alice", 2))) })
	refuses("another device", func() { must(t, s.Replace(ctx, claiming("alice", 3, otp.Claim{Serial: "phone/_/2"}))) })
	refuses("another account", func() { must(t, s.Create(ctx, claiming("dave", 1, released))) })
	for name, err := range refused {
		if !errors.Is(err, otp.ErrHistoryChanged) {
			t.Errorf("%s: %v, want %v", name, err, otp.ErrHistoryChanged)
		}
	}
	stored := deciding(t, s, "bob", 2, active)
	must(t, s.Replace(ctx, stored))
	must(t, s.Replace(ctx, write("alice", 4)))
	must(t, s.Replace(ctx, write("dave", 2)))
	must(t, s.Replace(ctx, stored))
	if row := fetch(t, s, "bob"); row.Revision != 2 || row.Claim != active {
		t.Errorf("the row is %+v", row)
	}
	if _, err := s.Update(ctx, "carol", "", func(otp.Snapshot) otp.Decision {
		w := claiming("carol", 1, active)
		w.History = stored.History
		return otp.Decision{Write: &w}
	}); !errors.Is(err, otp.ErrHistoryChanged) && !errors.Is(err, otp.ErrDeviceTaken) {
		t.Errorf("an update that was decided on an outdated history: %v", err)
	}
}

// Accounts that hand one device on, each with what the others have counted of it, lose none of the counts.
func testHistoriesTogether(t *testing.T, s Instance) {
	const accounts, each = 4, 5
	active, released := otp.Claim{Serial: "phone/_/1", Active: true}, otp.Claim{Serial: "phone/_/1"}
	var all sync.WaitGroup
	for i := range accounts {
		account := otp.Account(fmt.Sprint("account ", i))
		must(t, s.Create(t.Context(), write(account, 1)))
		all.Go(func() {
			for revision := uint64(2); revision < 2+2*each; revision += 2 {
				for stored := false; !stored; {
					w := deciding(t, s, account, revision, active)
					w.Row.Body = []byte(strconv.Itoa(1 + counted(w.History.Rows)))
					switch err := s.Replace(t.Context(), w); {
					case err == nil:
						free := claiming(account, revision+1, released)
						free.Row.Body = w.Row.Body
						must(t, s.Replace(t.Context(), free))
						stored = true
					case !errors.Is(err, otp.ErrHistoryChanged) && !errors.Is(err, otp.ErrDeviceTaken):
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	rows, err := s.BySerial(t.Context(), active.Serial)
	if got := counted(rows); err != nil || got != accounts*each {
		t.Errorf("%d uses of the device were counted, want %d (%v)", got, accounts*each, err)
	}
}

// counted returns the highest number that is the body of one of the rows.
func counted(rows []otp.Row) (highest int) {
	for _, row := range rows {
		if n, err := strconv.Atoi(string(row.Body)); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}
