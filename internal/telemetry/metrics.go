package telemetry

import (
	"context"
	"math"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the numbers that pimsd publishes about itself. All methods can be called from anywhere at any time.
type Metrics struct {
	registry *prometheus.Registry
	add      promauto.Factory // registers what it makes

	otps      *prometheus.CounterVec
	requests  *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	exchanges *prometheus.HistogramVec
	window    prometheus.Histogram
	commits   *prometheus.CounterVec
	retrying  prometheus.Gauge
	refused   *prometheus.CounterVec
	circuit   prometheus.Gauge
	fewLeft   prometheus.Counter
	panics    *prometheus.CounterVec
}

// NewMetrics returns metrics on a registry of their own. The version is that of the program; codes are all that an OTP request
// can end with, "0" for success included: each is published from the start, as 0.
func NewMetrics(version string, codes []string) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := &Metrics{registry: registry, add: promauto.With(registry)}
	m.otps = m.counters("pimsd_otp_requests_total",
		"Requests for an OTP by the code of their answer; 0 is success.", "code")
	m.inFlight = m.gauge("pimsd_requests_in_flight", "API requests that are being answered.")
	m.commits = m.counters("pimsd_commits_total",
		"Tries to write a device record, by what the write was for and by outcome.", "write", "outcome")
	m.retrying = m.gauge("pimsd_settles_retrying",
		"Answers of inWebo in memory that the store has refused so far and that are being tried again.")
	m.refused = m.counters("pimsd_refused_callers_total",
		"Requests of callers who are unknown or not entitled, by what became of their line in the audit log.", "line")
	m.circuit = m.gauge("pimsd_inwebo_circuit_state",
		"Who is let through to inWebo: 0 all, 1 one that finds out whether it can be reached again, 2 none.")
	m.fewLeft = m.counter("pimsd_few_sms_activations_total",
		"Enrollments of accounts that have few SMS activations left before inWebo locks them, refused ones included.")
	m.panics = m.counters("pimsd_panics_total",
		"Panics of background tasks, which go on all the same, by task. Each is a bug of pimsd: the log has its stack.", "task")
	m.requests = m.add.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pimsd_request_duration_seconds",
		Help:    "Time from the header of an API request to its answer, by route and code.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 25},
	}, []string{"route", "code"})
	m.exchanges = m.add.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pimsd_inwebo_exchange_duration_seconds",
		Help:    "Time of one exchange with inWebo, by exchange and outcome.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .2, .3, .5, .75, 1, 2, 4, 6, 10},
	}, []string{"exchange", "outcome"})
	m.window = m.add.NewHistogram(prometheus.HistogramOpts{
		Name:    "pimsd_commit_window_seconds",
		Help:    "Time in which a device could be lost: from an inWebo answer that moved its keys to the durable write.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5, 30, 300},
	})
	m.add.NewGauge(prometheus.GaugeOpts{
		Name:        "pimsd_build_info",
		Help:        "Always 1; its labels say which pimsd this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}).Set(1)
	m.ExpectPanics("lease", "settle") // of otp
	for _, code := range codes {
		m.otps.WithLabelValues(code)
	}
	return m
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return m.add.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// counters returns a counter for each value of the labels.
func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return m.add.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	return m.add.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

// watch publishes a number that is asked for at each scrape.
func (m *Metrics) watch(name, help string, number func() float64) {
	m.add.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, number)
}

// CountOTP counts a request for an OTP by the code of its answer, "0" for success.
func (m *Metrics) CountOTP(code string) { m.otps.WithLabelValues(code).Inc() }

// ObserveRequest takes the time of an API request. The route is the pattern that matched, never the path that was asked for.
func (m *Metrics) ObserveRequest(route, code string, d time.Duration) {
	m.requests.WithLabelValues(route, code).Observe(d.Seconds())
}

// RequestStarted counts a request as being answered until the function that it returns is called.
func (m *Metrics) RequestStarted() (finished func()) {
	m.inFlight.Inc()
	return m.inFlight.Dec
}

// ObserveExchange takes the time of one exchange with inWebo: its name, and how it ended.
func (m *Metrics) ObserveExchange(exchange, outcome string, d time.Duration) {
	m.exchanges.WithLabelValues(exchange, outcome).Observe(d.Seconds())
}

// CommitWindow takes the time from an answer that moved a ratchet to the write that made it durable.
func (m *Metrics) CommitWindow(d time.Duration) { m.window.Observe(d.Seconds()) }

// CountCommit counts a try to write a device record: what the write was for, and how it ended.
func (m *Metrics) CountCommit(write, outcome string) { m.commits.WithLabelValues(write, outcome).Inc() }

// ExpectPanics publishes tasks that have not panicked, each as 0.
func (m *Metrics) ExpectPanics(tasks ...string) {
	for _, task := range tasks {
		m.panics.WithLabelValues(task)
	}
}

// CountPanic counts a panic of a background task.
func (m *Metrics) CountPanic(task string) { m.panics.WithLabelValues(task).Inc() }

// Retrying adds change to the number of settles that are being tried again.
func (m *Metrics) Retrying(change int) { m.retrying.Add(float64(change)) }

// ExpectRefusedCallers publishes what can become of the line about a refused caller, each as 0.
func (m *Metrics) ExpectRefusedCallers(lines ...string) {
	for _, line := range lines {
		m.refused.WithLabelValues(line)
	}
}

// CountRefusedCaller counts a caller who was refused, by what became of the line about it.
func (m *Metrics) CountRefusedCaller(line string) { m.refused.WithLabelValues(line).Inc() }

// SetCircuit publishes who is let through to inWebo: 0 all, 1 one, 2 none.
func (m *Metrics) SetCircuit(state int) { m.circuit.Set(float64(state)) }

// WatchCertificate publishes when the certificate that callers are shown expires. It is called once, and only when there
// is one.
func (m *Metrics) WatchCertificate(expiry func() time.Time) {
	m.watch("pimsd_tls_certificate_expiry_timestamp_seconds",
		"When the certificate of the API's listener expires, in seconds since 1970.",
		func() float64 { return float64(expiry().Unix()) })
}

// WatchSealingKeys publishes whether the sealing keys can be used as they are now. It is called once.
func (m *Metrics) WatchSealingKeys(usable func() bool) {
	m.watch("pimsd_sealing_keys_usable",
		"1 while the sealing keys can be used as they are given now; 0 when the service goes on with those that it has in memory.",
		func() float64 {
			if usable() {
				return 1
			}
			return 0
		})
}

// WatchLog publishes how many lines of the log were dropped. It is called once.
func (m *Metrics) WatchLog(dropped func() uint64) {
	m.watchTotal("pimsd_log_lines_dropped_total", "Lines of the log that its reader did not take in time, or at all.", dropped)
}

// watchTotal publishes a number that never decreases, and is asked for at each scrape.
func (m *Metrics) watchTotal(name, help string, total func() uint64) {
	m.add.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(total()) })
}

// CountFewActivations counts an enrollment of an account that has few SMS activations left.
func (m *Metrics) CountFewActivations() { m.fewLeft.Inc() }

// countTimeout bounds how long a scrape waits for a number of the store.
const countTimeout = 2 * time.Second

// WatchEpoch publishes the doubt epoch of the store, read at each scrape; when read fails, NaN. It is called once.
func (m *Metrics) WatchEpoch(read func(context.Context) (int, error)) {
	m.watchCount("pimsd_doubt_epoch",
		"Doubt epoch of the store, which rises when every device is put in doubt; NaN when the store cannot tell.", read)
}

// WatchUnreadAnswers publishes how many answers of inWebo are kept because they could not be read, asked for at each scrape;
// when count fails, NaN. It is called once.
func (m *Metrics) WatchUnreadAnswers(count func(context.Context) (int, error)) {
	m.watchCount("pimsd_unread_answers",
		"Answers of inWebo that are kept because they could not be read; NaN when the store cannot tell.", count)
}

func (m *Metrics) watchCount(name, help string, count func(context.Context) (int, error)) {
	m.watch(name, help, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
		defer cancel()
		n, err := count(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	})
}
