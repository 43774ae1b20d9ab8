package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// A settle whose response cannot be stored, because the table of responses or an index of it is damaged or has no room, is stored
// without the response: inWebo's answer exists nowhere else.
func TestSettleWhereResponsesCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"a damaged table": "XX001", "a damaged index": "XX002", "a full disk": "53100", "a disk that fails": "58030",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			store := open(t, url)
			account := createAccounts(t, store, "account", 1)[0]
			server.Exec(t, url.Reveal(),
				`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
					$$ BEGIN RAISE EXCEPTION 'it cannot be stored' USING ERRCODE = '`+code+`'; END $$`,
				`CREATE TRIGGER fail BEFORE INSERT ON answer FOR EACH ROW EXECUTE FUNCTION fail()`)
			settle := writeOf(account, 2)
			settle.AuditEntry.Stage = otp.StageOutcome
			settle.Response = &otp.KeyedResponse{Key: strings.Repeat("a", 64), IsOTP: true, StoredResponse: otp.StoredResponse{
				At: time.Now(), Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("response")),
			}}
			if err := store.Replace(t.Context(), settle); err != nil {
				t.Errorf("the settle: %v", err)
			}
			if row, _, err := store.Fetch(t.Context(), account); err != nil || row.Revision != 2 {
				t.Errorf("the record is at revision %d (%v), want 2", row.Revision, err)
			}
		})
	}
}
