package telemetry

import "time"

// WatchEmbeddedStore publishes the condition of an embedded store. It is called once.
func (m *Metrics) WatchEmbeddedStore(responsesLost, settlesByScan func() uint64, logBytes func() int64, lastBackup func() time.Time) {
	m.watchTotal("pimsd_stored_responses_lost_total",
		"Responses of repeatable calls that were left out of their settles, because of damage or a full disk.", responsesLost)
	m.watchTotal("pimsd_sqlite_settles_by_scan_total",
		"Answers of inWebo that were stored without an index of the records, because it is damaged.", settlesByScan)
	m.watch("pimsd_sqlite_log_bytes",
		"Size of the write-ahead log; beyond 128 MiB, a reader that does not end keeps it.",
		func() float64 { return float64(logBytes()) })
	m.watch("pimsd_last_backup_timestamp_seconds",
		"When pimsd store backup last ended well, in seconds since 1970; 0: never.",
		func() float64 {
			at := lastBackup()
			if at.IsZero() {
				return 0
			}
			return float64(at.Unix())
		})
}
