package telemetry

import (
	"context"
	"math"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the numbers that pimsd publishes about itself. All methods can be called from anywhere at any time.
type Metrics struct {
	registry *prometheus.Registry

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
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		otps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pimsd_otp_requests_total",
			Help: "Requests for an OTP by the code of their answer; 0 is success.",
		}, []string{"code"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pimsd_request_duration_seconds",
			Help:    "Time from the header of an API request to its answer, by route and code.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 25},
		}, []string{"route", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pimsd_requests_in_flight",
			Help: "API requests that are being answered.",
		}),
		exchanges: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pimsd_inwebo_exchange_duration_seconds",
			Help:    "Time of one exchange with inWebo, by exchange and outcome.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .2, .3, .5, .75, 1, 2, 4, 6, 10},
		}, []string{"exchange", "outcome"}),
		window: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pimsd_commit_window_seconds",
			Help:    "Time in which a device could be lost: from an inWebo answer that moved its keys to the durable write.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5, 30, 300},
		}),
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pimsd_commits_total",
			Help: "Tries to write a device record, by what the write was for and by outcome.",
		}, []string{"write", "outcome"}),
		retrying: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pimsd_settles_retrying",
			Help: "Answers of inWebo in memory that the store has refused so far and that are being tried again.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pimsd_refused_callers_total",
			Help: "Requests of callers who are unknown or not entitled, by what became of their line in the audit log.",
		}, []string{"line"}),
		circuit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pimsd_inwebo_circuit_state",
			Help: "Who is let through to inWebo: 0 all, 1 one that finds out whether it can be reached again, 2 none.",
		}),
		fewLeft: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pimsd_few_sms_activations_total",
			Help: "Enrollments of accounts that have few SMS activations left before inWebo locks them, refused ones included.",
		}),
	}
	m.panics = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pimsd_panics_total",
		Help: "Panics of background tasks, which go on all the same, by task. Each is a bug of pimsd: the log has its stack.",
	}, []string{"task"})
	for _, task := range []string{"lease", "settle"} { // of otp
		m.panics.WithLabelValues(task)
	}
	for _, code := range codes {
		m.otps.WithLabelValues(code)
	}
	m.registry.MustRegister(m.otps, m.requests, m.inFlight, m.exchanges, m.window, m.commits, m.retrying, m.refused, m.circuit,
		m.fewLeft, m.panics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(version))
	return m
}

func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "pimsd_build_info",
		Help:        "Always 1; its labels say which pimsd this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
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

// ObserveWindow takes the time from an answer that moved a ratchet to the write that made it durable.
func (m *Metrics) ObserveWindow(d time.Duration) { m.window.Observe(d.Seconds()) }

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

// SettleRetrying adds change to the number of settles that are being tried again.
func (m *Metrics) SettleRetrying(change int) { m.retrying.Add(float64(change)) }

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
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pimsd_tls_certificate_expiry_timestamp_seconds",
		Help: "When the certificate of the API's listener expires, in seconds since 1970.",
	}, func() float64 { return float64(expiry().Unix()) }))
}

// WatchSealingKeys publishes whether the sealing keys can be used as they are now. It is called once.
func (m *Metrics) WatchSealingKeys(usable func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pimsd_sealing_keys_usable",
		Help: "1 while the sealing keys can be used as they are given now; 0 when the service goes on with those that it has in memory.",
	}, func() float64 {
		if usable() {
			return 1
		}
		return 0
	}))
}

// WatchLog publishes how many lines of the log were dropped. It is called once.
func (m *Metrics) WatchLog(dropped func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "pimsd_log_lines_dropped_total",
		Help: "Lines of the log that its reader did not take in time, or at all.",
	}, func() float64 { return float64(dropped()) }))
}

// CountFewActivations counts an enrollment of an account that has few SMS activations left.
func (m *Metrics) CountFewActivations() { m.fewLeft.Inc() }

// countTimeout bounds how long a scrape waits for a number of the store.
const countTimeout = 2 * time.Second

// WatchEpoch publishes the doubt epoch of the store, read at each scrape; when read fails, NaN. It is called once.
func (m *Metrics) WatchEpoch(read func(context.Context) (int, error)) {
	m.watchCount(prometheus.GaugeOpts{
		Name: "pimsd_doubt_epoch",
		Help: "Doubt epoch of the store, which rises when every device is put in doubt; NaN when the store cannot tell.",
	}, read)
}

// WatchUnreadAnswers publishes how many answers of inWebo are kept because they could not be read, asked for at each scrape;
// when count fails, NaN. It is called once.
func (m *Metrics) WatchUnreadAnswers(count func(context.Context) (int, error)) {
	m.watchCount(prometheus.GaugeOpts{
		Name: "pimsd_unread_answers",
		Help: "Answers of inWebo that are kept because they could not be read; NaN when the store cannot tell.",
	}, count)
}

func (m *Metrics) watchCount(gauge prometheus.GaugeOpts, count func(context.Context) (int, error)) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(gauge, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
		defer cancel()
		n, err := count(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}))
}
