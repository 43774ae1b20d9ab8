package app

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// Every device in doubt is in the metric and in the note of readiness: with the flag, of an earlier epoch, and with a lease that is over or
// lasts longer than any can. That of a record that cannot be read is counted, too.
func TestDevicesInDoubtAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	lease := func(until time.Time) otp.Record { return otp.Record{Lease: &otp.Lease{Since: now, Until: until}} }
	for name, tc := range map[string]struct {
		record otp.Record
		raised bool
		want   int
	}{
		"idle":                  {want: 0},
		"leased":                {record: lease(now.Add(otp.MaxLease / 2)), want: 0},
		"flag":                  {record: otp.Record{Doubt: &otp.Doubt{Since: now}}, want: 1},
		"earlier epoch":         {raised: true, want: 1},
		"lease is over":         {record: lease(now.Add(-time.Second)), want: 1},
		"lease is impossible":   {record: lease(now.AddDate(10, 0, 0)), want: 1},
		"all of these, at once": {record: otp.Record{Doubt: &otp.Doubt{}, Lease: &otp.Lease{Until: now.Add(-time.Hour)}}, raised: true, want: 1},
	} {
		for _, damaged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, damaged %v", name, damaged), func(t *testing.T) {
				t.Parallel()
				store := openSQLite(t)
				must(t, store.Create(t.Context(), storedWrite(t, tc.record, damaged)))
				if tc.raised {
					must(t, store.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "test"}))
				}
				metrics := telemetry.NewMetrics("test", nil)
				a := &App{
					Core:   &Core{Store: store, OTP: otp.New(seal.NewUnopened(store), nil, limits(goodConfig(t)), nil)},
					logger: zap.NewNop(), metrics: metrics,
					setAccountStats: metrics.WatchAccountStats(conditions()),
				}
				a.countAndPublish(t.Context())
				series := fmt.Sprintf("\npimsd_accounts{condition=%q} %d\n", accountsInDoubt, tc.want)
				if text := scrape(a); !strings.Contains(text, series) {
					t.Errorf("the metrics lack %s:\n%s", series, text)
				}
				if note := a.doubts(t.Context()); !strings.HasPrefix(note, fmt.Sprint(tc.want, " device")) {
					t.Errorf("readiness says: %s", note)
				}
			})
		}
	}
}

func openSQLite(t *testing.T) *sqlite.Store {
	t.Helper()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: filepath.Join(t.TempDir(), "data")})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

// storedWrite returns the write that creates the record, with a device. The body is damaged where that is wanted.
func storedWrite(t *testing.T, r otp.Record, damaged bool) otp.Write {
	t.Helper()
	r.Device = &otp.Device{}
	body, err := json.Marshal(struct {
		Schema int `json:"schema"`
		otp.Record
	}{1, r})
	must(t, err)
	row := otp.Row{Account: "alice", Revision: 1, InDoubt: r.Doubt != nil, Body: body}
	if r.Lease != nil {
		row.LeasedUntil = r.Lease.Until
	}
	if damaged {
		row.Body = body[:len(body)/2]
	}
	return otp.Write{ID: "write", Row: row, Claim: &otp.Claim{Serial: "serial", Active: true}}
}

// Before the first count, and after one that failed, the note of readiness says how much is known.
func TestDoubtsThatAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &App{}
		if note := a.doubts(t.Context()); note != "devices in doubt are not counted yet" {
			t.Errorf("before the first count: %s", note)
		}
		a.accountStats.Store(&telemetry.AccountStats{At: time.Now(), Accounts: map[string]int{accountsInDoubt: 2}})
		time.Sleep(7 * time.Minute)
		if note := a.doubts(t.Context()); note != "2 devices in doubt when they were counted, 7m0s ago" {
			t.Errorf("seven minutes after the last count: %s", note)
		}
	})
}
