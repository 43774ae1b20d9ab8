package telemetry

import "github.com/prometheus/client_golang/prometheus"

// WatchThrottles publishes how many requests each of the throttles has held back, those that never did as 0. The function
// that it returns counts one. It is called once.
func (m *Metrics) WatchThrottles(throttles []string) (count func(by string)) {
	held := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pimsd_throttled_requests_total",
		Help: "Requests that pimsd held back itself, by what held them back; the log says whose they were.",
	}, []string{"by"})
	for _, by := range throttles {
		held.WithLabelValues(by)
	}
	m.registry.MustRegister(held)
	return func(by string) { held.WithLabelValues(by).Inc() }
}
