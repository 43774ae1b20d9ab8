package telemetry

// WatchThrottles publishes how many requests each of the throttles has held back, those that never did as 0. The function
// that it returns counts one. It is called once.
func (m *Metrics) WatchThrottles(throttles []string) (count func(by string)) {
	held := m.counters("pimsd_throttled_requests_total",
		"Requests that pimsd held back itself, by what held them back; the log says whose they were.", "by")
	for _, by := range throttles {
		held.WithLabelValues(by)
	}
	return func(by string) { held.WithLabelValues(by).Inc() }
}
