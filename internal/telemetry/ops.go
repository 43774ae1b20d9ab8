package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one condition of readiness. Ready returns nil, or an error that describes for an operator what is wrong; it must
// return when its context ends. Of a condition that is met, Note, when set, returns what is worth knowing
// all the same, or nothing.
type Check struct {
	Name  string
	Ready func(context.Context) error
	Note  func(context.Context) string
}

// What an answer on the operators' listener may take. Probes give up within seconds, so an answer must come before that.
const (
	readyTimeout  = 2 * time.Second
	scrapeTimeout = 8 * time.Second
)

// OpsHandler serves the operators: / (what there is), /metrics, /livez (the process answers) and /readyz (every check passes; with
// ?verbose a line for each). It asks for no credentials, so it must never share a listener with the API.
func OpsHandler(m *Metrics, checks ...Check) http.Handler {
	r := chi.NewRouter()
	get := func(route string, h http.Handler) {
		r.Method(http.MethodGet, route, h)
		r.Method(http.MethodHead, route, h)
	}
	get("/metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             scrapeTimeout,
	}))
	get("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, opsIndex) }))
	get("/livez", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive\n") }))
	get("/readyz", readyz(checks))
	return WithHeader("Cache-Control", "no-store", WithHeader("X-Content-Type-Options", "nosniff", r))
}

// WithHeader returns a handler that sets a header field before it calls next.
func WithHeader(name, value string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		next.ServeHTTP(w, r)
	})
}

// opsIndex lists what is served.
const opsIndex = `pimsd, for operators:

/docs/            the API to read
/metrics          for Prometheus
/livez            whether the process answers
/readyz           whether it takes calls
/readyz?verbose   the same, with a line for each condition
`

func readyz(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		status, summary, lines := http.StatusOK, "ready\n", strings.Builder{}
		for _, check := range checks {
			if err := check.Ready(ctx); err != nil {
				status, summary = http.StatusServiceUnavailable, "not ready\n"
				fmt.Fprintf(&lines, "%s: failed: %v\n", check.Name, err)
				continue
			}
			fmt.Fprintf(&lines, "%s: ok%s\n", check.Name, noteOf(ctx, check))
		}
		if r.URL.Query().Has("verbose") {
			summary = lines.String() + summary
		}
		answer(w, status, summary)
	}
}

func noteOf(ctx context.Context, check Check) string {
	if check.Note == nil {
		return ""
	}
	note := check.Note(ctx)
	if note == "" {
		return ""
	}
	return ", " + note
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // who asked has gone when this fails
}
