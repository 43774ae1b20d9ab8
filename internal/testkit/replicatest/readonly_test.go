package replicatest_test

import (
	"path"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// While the database can only be read, as a standby's or one that was set so, calls are refused before inWebo hears of
// them; and it heals by itself.
func TestADatabaseThatCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	store := onPostgres(database)(t)
	w := newHarness(t, store, nil, inwebosim.DefaultKnobs())
	account := w.enroll(1)[0]
	processes := w.starts(2)
	for _, p := range processes {
		w.wantOTP(p, account)
	}
	before := w.expected(account)
	setReadOnly(t, store, "on")
	for range 5 {
		for _, p := range processes {
			if a := w.ask(p, account); a.status != 500 || a.code != 2000 {
				t.Errorf("told %v (%d)", a, a.status)
			}
		}
	}
	if after := w.expected(account); after.Requests != before.Requests {
		t.Errorf("inWebo has seen %d requests more", after.Requests-before.Requests)
	}
	setReadOnly(t, store, "off")
	for _, p := range processes {
		until(t, "the store is written again", func() bool { return w.verifies(account, w.ask(p, account)) })
	}
	until(t, "the test reads the store again", func() bool {
		_, err := w.core.OTP.Status(t.Context(), otp.Account(account))
		return err == nil
	})
	if status := w.status(account); status.InDoubt {
		t.Error("the device is in doubt")
	}
}

// setReadOnly sets what the store's connections may, from the next one on, and ends those that there are.
func setReadOnly(t *testing.T, store settings, value string) {
	t.Helper()
	name, _, _ := strings.Cut(path.Base(store["DATABASE_URL"]), "?")
	database.Exec(t, database.URL("postgres"), "ALTER DATABASE "+name+" SET default_transaction_read_only = "+value)
	database.Exec(t, database.URL("postgres"),
		"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '"+name+"'")
}
