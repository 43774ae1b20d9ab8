package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// damage overwrites the root pages of tables and indexes in a store that no process has open.
func damage(t *testing.T, dir string, names ...string) {
	t.Helper()
	s := openWith(t, dir, builtIn())
	var pages []int64
	for _, name := range names {
		pages = append(pages, page(t, s, name))
	}
	closeStore(t, s)
	for _, at := range pages {
		overwrite(t, dir, at)
	}
}

const pageSize = 4096

// page is where the root page of a table or an index is in the file.
func page(t *testing.T, s *Store, name string) int64 {
	t.Helper()
	text := value(t, s, "SELECT (rootpage - 1) * page_size FROM sqlite_schema, pragma_page_size WHERE name = ?", name)
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// openDamaged opens a store that the service would not start on, as one that is damaged while it is served.
func openDamaged(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func overwrite(t *testing.T, dir string, at int64) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, pageSize), at)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func withResponse(revision uint64) otp.Write {
	w := benchWrite(1, revision)
	w.AuditEntry.Stage = otp.StageOutcome
	w.Response = &otp.KeyedResponse{Key: fmt.Sprintf("%064d", revision), IsOTP: true, StoredResponse: otp.StoredResponse{
		At: now(), Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("response")),
	}}
	return w
}

// Whatever is damaged of stored responses, the settle is stored, without its response, and other calls do not notice.
func TestSettleWhereResponsesAreDamaged(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"answer", "answer_at", "answer_unspent"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			dir := oldStore(t)
			damage(t, dir, part)
			s := openDamaged(t, dir)
			if errs := together(t, s, writing(benchWrite(1, 2))); errs[0] != nil {
				t.Fatal(errs[0])
			}
			for n := uint64(3); n < 6; n++ {
				if err := s.Replace(t.Context(), withResponse(n)); err != nil {
					t.Errorf("a settle with a response: %v", err)
				}
			}
			if err := s.Replace(t.Context(), benchWrite(1, 6)); err != nil || revision(t, s, "account 1") != 6 {
				t.Errorf("a settle without one: %v", err)
			}
			if err := errors.Join(s.Broken(), s.Writable(t.Context())); err != nil {
				t.Error(err)
			}
			got := s.Condition(t.Context())
			if got.ResponsesLost != 3 || got.SettlesByScan != 0 || !strings.Contains(got.Damage, part+": ") || len(got.Notes()) != 2 {
				t.Errorf("the condition is %+v, want 3 responses lost and %s damaged", got, part)
			}
			if err := s.ForgetAnswers(t.Context(), 0, 0); s.Broken() != nil {
				t.Errorf("housekeeping of what is damaged says %v, and breaks the store: %v", err, s.Broken())
			}
		})
	}
}

// Whichever index of the records is damaged, a settle is stored: with its audit line and its response, and with a claim where
// that needs none of the damaged index. The index is named.
func TestSettleWhereAnIndexOfRecordsIsDamaged(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"device_unread", "device_serial", "device_active", "sqlite_autoindex_device_1"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			dir := oldStore(t)
			damage(t, dir, part)
			s := openDamaged(t, dir)
			w, epoch := withResponse(2), uint64(7)
			w.Row.LeasedUntil, w.Row.InDoubt, w.Row.UnreadAnswers, w.Row.Body = time.Time{}, true, 1, []byte(`{"settled":true}`)
			w.Epoch = &epoch
			if err := s.Replace(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			if n := s.Condition(t.Context()).SettlesByScan; s.health.met.Load() && n != 1 {
				t.Errorf("%d settles are counted that were stored by scan, want 1", n)
			}
			if err := s.Replace(t.Context(), w); err != nil {
				t.Errorf("the same write again: %v", err)
			}
			stale := withResponse(2)
			stale.ID = "another"
			if err := s.Replace(t.Context(), stale); !errors.Is(err, otp.ErrConflict) {
				t.Errorf("a write of an older row: %v, want a conflict", err)
			}
			const found = `SELECT format('revision %d, in doubt %d, held until %s, epoch %d, body %s, %d lines, %d responses', revision, in_doubt,
				coalesce(held_until, 'never'), epoch, CAST(body AS TEXT), (SELECT count(*) FROM audit WHERE write_id = ?),
				(SELECT count(*) FROM answer)) FROM device NOT INDEXED`
			const want = `revision 2, in doubt 1, held until never, epoch 7, body {"settled":true}, 1 lines, 1 responses`
			if got := value(t, s, found, w.ID); got != want {
				t.Errorf("found is %s", got)
			}
			if got := s.Condition(t.Context()); s.health.met.Load() && !strings.Contains(got.Damage, "index "+part+": ") {
				t.Errorf("the condition says %+v", got)
			}
			if err := s.Broken(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A damaged page costs the account on it its calls, and no other.
func TestDamagedIndexOfDevices(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	damage(t, dir, "device_unread")
	s := openDamaged(t, dir)
	unread := benchWrite(1, 2)
	unread.Row.UnreadAnswers = 1
	errs := together(t, s, writing(unread), writing(benchWrite(2, 1)))
	if !errors.Is(errs[0], otp.ErrNotApplied) || errs[1] != nil {
		t.Errorf("the one that needs the page: %v; the other: %v", errs[0], errs[1])
	}
	if s.Broken() != nil {
		t.Error(s.Broken())
	}
	if got := s.Condition(t.Context()); !strings.Contains(got.Damage, "index device_unread: ") {
		t.Errorf("the condition says %+v", got)
	}
}

// Whatever is damaged of the audit log, a settle is stored: without its line, and with its response. A repeat of it is known by its
// row, and a write of an older row does not fit.
func TestSettleWhereTheAuditLogIsDamaged(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{{"audit"}, {"sqlite_autoindex_audit_1"}, {"sqlite_autoindex_audit_1", "device_unread"}} {
		t.Run(strings.Join(parts, " and "), func(t *testing.T) {
			t.Parallel()
			dir := oldStore(t)
			damage(t, dir, parts...)
			s := openDamaged(t, dir)
			w := withResponse(2)
			w.Row.LeasedUntil, w.Row.InDoubt, w.Row.UnreadAnswers, w.Row.Body = time.Time{}, true, 1, []byte(`{"settled":true}`)
			for _, again := range []string{"a settle", "the same settle again"} {
				if err := s.Replace(t.Context(), w); err != nil {
					t.Errorf("%s: %v", again, err)
				}
			}
			stale := withResponse(2)
			stale.ID = "another"
			if err := s.Replace(t.Context(), stale); !errors.Is(err, otp.ErrConflict) {
				t.Errorf("a write of an older row: %v, want a conflict", err)
			}
			const found = `SELECT format('revision %d, body %s, %d responses', revision, CAST(body AS TEXT), (SELECT count(*) FROM answer))
				FROM device NOT INDEXED`
			if got := value(t, s, found); got != `revision 2, body {"settled":true}, 1 responses` {
				t.Errorf("found is %s", got)
			}
			leased := benchWrite(1, 3)
			leased.AuditEntry.Stage = otp.StageAttempt
			if err := s.Replace(t.Context(), leased); !errors.Is(err, otp.ErrNotApplied) {
				t.Errorf("a lease: %v, want it refused", err)
			}
			if got := s.Condition(t.Context()); got.SettlesUnlogged != 2 || !strings.Contains(got.Damage, parts[0]) {
				t.Errorf("the condition is %+v", got)
			}
			if err := s.Broken(); err != nil {
				t.Error(err)
			}
		})
	}
}
