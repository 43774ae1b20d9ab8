package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// WatchEmbeddedStore publishes the condition of an embedded store. It is called once.
func (m *Metrics) WatchEmbeddedStore(responsesLost, settlesByScan func() uint64, logBytes func() int64, lastBackup func() time.Time) {
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "pimsd_stored_responses_lost_total",
			Help: "Responses of repeatable calls that were left out of their settles, because of damage or a full disk.",
		}, func() float64 { return float64(responsesLost()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "pimsd_sqlite_settles_by_scan_total",
			Help: "Answers of inWebo that were stored without an index of the records, because it is damaged.",
		}, func() float64 { return float64(settlesByScan()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pimsd_sqlite_log_bytes",
			Help: "Size of the write-ahead log; beyond 128 MiB, a reader that does not end keeps it.",
		}, func() float64 { return float64(logBytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "pimsd_last_backup_timestamp_seconds",
			Help: "When pimsd store backup last ended well, in seconds since 1970; 0: never.",
		}, func() float64 {
			at := lastBackup()
			if at.IsZero() {
				return 0
			}
			return float64(at.Unix())
		}),
	)
}
