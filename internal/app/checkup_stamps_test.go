package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// Records and API keys with stamps from the future are named, and what cannot be read is passed over.
func TestStampsFromTheFutureAreNamed(t *testing.T) {
	t.Parallel()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	put := func(account, body string) {
		t.Helper()
		w := otp.Write{
			ID: account, Row: otp.Row{Account: otp.Account(account), Revision: 1, Body: []byte(body)},
			AuditEntry: otp.AuditEntry{Account: otp.Account(account), Action: "otp"},
		}
		if err := store.Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	record := func(wrong time.Time) string {
		return fmt.Sprintf(`{"schema":1,"guard":{"wrong":1,"wrongAt":%q}}`, wrong.Format(time.RFC3339))
	}
	put("right", record(now.Add(-time.Hour)))
	put("damaged", "{")
	if got := inspectStamps(t.Context(), store, now); got.Outcome != OutcomeOK {
		t.Errorf("with stamps of the past: %+v", got)
	}
	for n := range 7 {
		put(fmt.Sprintf("wrong-%d", n), record(now.AddDate(10, 0, 0)))
	}
	key, _, err := authn.NewKey(authn.Grant{Backend: true}, now.AddDate(10, 0, 0), now.AddDate(11, 0, 0))
	if err == nil {
		err = store.AddKey(t.Context(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := inspectStamps(t.Context(), store, now)
	if got.Outcome != OutcomeNote || !strings.Contains(got.Detail, `from the future: 8 (account "wrong-0", account "wrong-1"`) ||
		!strings.HasSuffix(got.Detail, ", …)") || strings.Contains(got.Detail, "right") {
		t.Errorf("%+v", got)
	}
	if got := inspectStamps(t.Context(), store, time.Time{}); got.Outcome != OutcomeSkipped {
		t.Errorf("without a clock: %+v", got)
	}
}
