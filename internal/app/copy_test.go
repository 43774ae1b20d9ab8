package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// stocked is a store with an account of two revisions and a key, all of which change may make different.
func stocked(t *testing.T, key authn.Key, change func(w *otp.Write)) Store {
	t.Helper()
	store := emptyStore(t)
	for revision := range uint64(2) {
		w := otp.Write{
			ID:         fmt.Sprint("write ", revision),
			Row:        otp.Row{Account: "alice", Revision: revision + 1, Body: []byte("{}"), Secrets: secret.NewBytes([]byte("sealed"))},
			AuditEntry: otp.AuditEntry{Account: "alice", At: time.UnixMicro(1).UTC(), Stage: otp.StageOutcome, Step: revision},
		}
		verb := store.Create
		if revision > 0 {
			change(&w)
			verb = store.Replace
		}
		if err := verb(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.AddKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return store
}

func emptyStore(t *testing.T) Store {
	t.Helper()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// A copy that differs in anything from what it was made of is no copy.
func TestCopiesAreCompared(t *testing.T) {
	t.Parallel()
	key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	other := key
	other.CreatedAt = key.CreatedAt.Add(time.Hour)
	for name, tc := range map[string]struct {
		key    authn.Key
		change func(*otp.Write)
		same   bool
	}{
		"the same":           {key, func(*otp.Write) {}, true},
		"another vault":      {key, func(w *otp.Write) { w.Row.Secrets = secret.NewBytes([]byte("Sealed")) }, false},
		"another body":       {key, func(w *otp.Write) { w.Row.Body = []byte("[]") }, false},
		"another doubt":      {key, func(w *otp.Write) { w.Row.InDoubt = true }, false},
		"another hold":       {key, func(w *otp.Write) { w.Row.LeasedUntil = time.UnixMicro(2) }, false},
		"another claim":      {key, func(w *otp.Write) { w.Claim = &otp.Claim{Serial: "phone/_/2"} }, false},
		"another audit line": {key, func(w *otp.Write) { w.AuditEntry.Step++ }, false},
		"another key":        {other, func(*otp.Write) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := stocked(t, key, func(*otp.Write) {}), stocked(t, tc.key, tc.change)
			if _, err := compare(t.Context(), from, to); (err == nil) != tc.same || !tc.same && !errors.Is(err, errDiffer) {
				t.Errorf("the comparison says %v", err)
			}
		})
	}
}

func TestACopyLacksNothingAndHasNothingMore(t *testing.T) {
	t.Parallel()
	key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	some, empty := stocked(t, key, func(*otp.Write) {}), emptyStore(t)
	for _, pair := range [][2]Store{{some, empty}, {empty, some}} {
		if _, err := compare(t.Context(), pair[0], pair[1]); !errors.Is(err, errDiffer) {
			t.Errorf("the comparison says %v", err)
		}
	}
}

// A copy that has other former devices, and the same of everything else, is no copy.
func TestFormerDevicesAreCompared(t *testing.T) {
	t.Parallel()
	key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(first string) Store {
		store := stocked(t, key, func(w *otp.Write) { w.Claim = &otp.Claim{Serial: first} })
		w := otp.Write{
			ID: "last", Row: otp.Row{Account: "alice", Revision: 3, Body: []byte("{}")}, Claim: &otp.Claim{Serial: "phone/_/9"},
			AuditEntry: otp.AuditEntry{Account: "alice", At: time.UnixMicro(1).UTC(), Stage: otp.StageOutcome},
		}
		if err := store.Replace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		return store
	}
	if _, err := compare(t.Context(), with("phone/_/1"), with("phone/_/1")); err != nil {
		t.Errorf("the same: %v", err)
	}
	if _, err := compare(t.Context(), with("phone/_/1"), with("phone/_/2")); !errors.Is(err, errDiffer) {
		t.Errorf("the comparison says %v", err)
	}
}

// unreadable is a store with a record that cannot be read whole.
type unreadable struct{ Store }

func (u unreadable) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	rows, err := u.Store.List(ctx, after, limit)
	for i := range rows {
		rows[i] = otp.Row{Account: rows[i].Account}
	}
	return rows, err
}

// A copy would have the record as one without a device, and so lose the device.
func TestUnreadableRecordIsNotCopied(t *testing.T) {
	t.Parallel()
	key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range allRows(t.Context(), unreadable{stocked(t, key, func(*otp.Write) {})}) {
		if err == nil || !strings.Contains(err.Error(), `the record of account "alice" is damaged`) {
			t.Errorf("%v", err)
		}
		return
	}
	t.Error("there is no record")
}
