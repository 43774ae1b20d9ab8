package telemetry

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// AccountStats is the last count of all accounts and keys.
type AccountStats struct {
	At            time.Time
	Accounts      map[string]int // by a condition that holds of them; one account may be counted under several
	NextKeyExpiry time.Time      // of the API key that expires first; zero when none does
}

// WatchAccountStats publishes what the function that it returns is called with. It is called once. Before the first count, and of what
// was not counted, the metrics say NaN, which alerts on nothing.
func (m *Metrics) WatchAccountStats(conditions []string) (set func(AccountStats)) {
	accounts := m.add.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pimsd_accounts",
		Help: "Accounts by a condition that holds of them, as counted last; one account may be counted under several.",
	}, []string{"condition"})
	for _, condition := range conditions {
		accounts.WithLabelValues(condition).Set(math.NaN())
	}
	expiry := m.gauge("pimsd_api_key_next_expiry_timestamp_seconds",
		"When the API key that expires first does, in seconds since 1970; +Inf when none does, NaN before the first count.")
	expiry.Set(math.NaN())
	counted := m.gauge("pimsd_census_timestamp_seconds",
		"When accounts and keys were counted last, in seconds since 1970; 0 before the first time.")
	return func(c AccountStats) {
		for _, condition := range conditions {
			accounts.WithLabelValues(condition).Set(float64(c.Accounts[condition]))
		}
		expiry.Set(seconds(c.NextKeyExpiry))
		counted.Set(seconds(c.At))
	}
}

func seconds(at time.Time) float64 {
	if at.IsZero() {
		return math.Inf(+1)
	}
	return float64(at.UnixMilli()) / 1000
}
