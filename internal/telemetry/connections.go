package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Connections are what is published of the connections of one listener.
type Connections struct {
	open   prometheus.Gauge
	shed   prometheus.Counter
	failed prometheus.Counter
}

// WatchConnections publishes the connections of a listener, which is called once for each.
func (m *Metrics) WatchConnections(listener string) Connections {
	labels := prometheus.Labels{"listener": listener}
	return Connections{
		open: m.add.NewGauge(prometheus.GaugeOpts{
			Name: "pimsd_connections", ConstLabels: labels,
			Help: "Open connections, by listener.",
		}),
		shed: m.add.NewCounter(prometheus.CounterOpts{
			Name: "pimsd_connections_shed_total", ConstLabels: labels,
			Help: "Connections without a request that were closed for new ones, since the listener had all that it may have.",
		}),
		failed: m.add.NewCounter(prometheus.CounterOpts{
			Name: "pimsd_accept_errors_total", ConstLabels: labels,
			Help: "Connections that could not be accepted.",
		}),
	}
}

// Changed counts connections that were opened, or, below 0, closed.
func (c Connections) Changed(by int) { c.open.Add(float64(by)) }

// Shed counts a connection that was closed for another one.
func (c Connections) Shed() { c.shed.Inc() }

// Failed counts a connection that could not be accepted.
func (c Connections) Failed() { c.failed.Inc() }
