package pimsdtest_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// A service that starts counts accounts and keys, and publishes what it has counted.
func TestAccountsAreCounted(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	d.Enroll("alice", "1234")
	loseAnswer(t, d.Enroll("bob", "1234"), false)
	d.Restart()
	var metrics map[string]float64
	for began := time.Now(); metrics["pimsd_census_timestamp_seconds"] == 0 && time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		metrics = d.Metrics()
	}
	for series, want := range map[string]float64{
		`pimsd_accounts{condition="enrolled"}`: 2, `pimsd_accounts{condition="in_doubt"}`: 1, `pimsd_accounts{condition="blocked"}`: 0, `pimsd_accounts{condition="few_sms_activations_left"}`: 0,
	} {
		if got, there := metrics[series]; !there || got != want {
			t.Errorf("%s is %v", series, got)
		}
	}
	if got := d.Ask("no key", pimsdtest.WithPIN("1234")); got.Code == 0 {
		t.Error("a caller without a key was answered")
	}
	if _, there := metrics[`pimsd_refused_callers_total{line="dropped"}`]; !there {
		t.Error("what can become of refused callers is not published from the start")
	}
	if _, there := metrics[`pimsd_throttled_requests_total{by="quota"}`]; !there {
		t.Error("throttles are not published from the start")
	}
}
