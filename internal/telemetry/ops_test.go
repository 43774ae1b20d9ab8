package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/pimsd/pimsd/internal/telemetry"
)

func newMetrics() *telemetry.Metrics {
	return telemetry.NewMetrics("v1.2.3", []string{"0", "2000", "2308"})
}

// get asks a handler made of m and checks and gives status and body.
func get(t *testing.T, target string, m *telemetry.Metrics, checks ...telemetry.Check) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	telemetry.OpsHandler(m, checks...).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	status, body := get(t, "/metrics", m)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	return body
}

func expectLines(t *testing.T, body string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(strings.Split(body, "\n"), line) {
			t.Errorf("a scrape lacks %q", line)
		}
	}
}

func TestEveryCodeIsThereFromTheStart(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	expectLines(t, scrape(t, m),
		`pimsd_otp_requests_total{code="0"} 0`, `pimsd_otp_requests_total{code="2000"} 0`, `pimsd_otp_requests_total{code="2308"} 0`)
	m.CountOTP("2308")
	expectLines(t, scrape(t, m),
		`pimsd_otp_requests_total{code="0"} 0`, `pimsd_otp_requests_total{code="2000"} 0`, `pimsd_otp_requests_total{code="2308"} 1`)
}

func TestEachMethodMovesItsMetric(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	m.ObserveRequest("/v1/authentication/otp", "0", 2*time.Second)
	m.ObserveExchange("otp setup", "answered", 300*time.Millisecond)
	m.CommitWindow(20 * time.Millisecond)
	m.CountCommit("settle", "stored")
	m.Retrying(1)
	m.RequestStarted()
	m.RequestStarted()()
	m.WatchEpoch(func(context.Context) (int, error) { return 2, nil })
	m.WatchThrottles([]string{"quota", "pin_guard"})("quota")
	set := m.WatchAccountStats([]string{"enrolled", "blocked"})
	expectLines(t, scrape(t, m), `pimsd_accounts{condition="enrolled"} NaN`, `pimsd_api_key_next_expiry_timestamp_seconds NaN`,
		`pimsd_census_timestamp_seconds 0`)
	set(telemetry.AccountStats{At: time.Unix(1500, 0), Accounts: map[string]int{"enrolled": 2}})
	expectLines(t, scrape(t, m), `pimsd_api_key_next_expiry_timestamp_seconds +Inf`)
	set(telemetry.AccountStats{At: time.Unix(1500, 0), Accounts: map[string]int{"enrolled": 2}, NextKeyExpiry: time.Unix(1600, 0)})
	body := scrape(t, m)
	expectLines(t, body,
		`pimsd_request_duration_seconds_sum{code="0",route="/v1/authentication/otp"} 2`,
		`pimsd_inwebo_exchange_duration_seconds_sum{exchange="otp setup",outcome="answered"} 0.3`,
		`pimsd_inwebo_exchange_duration_seconds_bucket{exchange="otp setup",outcome="answered",le="0.2"} 0`,
		`pimsd_inwebo_exchange_duration_seconds_bucket{exchange="otp setup",outcome="answered",le="0.3"} 1`,
		`pimsd_commit_window_seconds_sum 0.02`,
		`pimsd_commits_total{outcome="stored",write="settle"} 1`,
		`pimsd_settles_retrying 1`,
		`pimsd_requests_in_flight 1`,
		`pimsd_doubt_epoch 2`,
		`pimsd_throttled_requests_total{by="quota"} 1`,
		`pimsd_throttled_requests_total{by="pin_guard"} 0`,
		`pimsd_accounts{condition="enrolled"} 2`,
		`pimsd_accounts{condition="blocked"} 0`,
		`pimsd_census_timestamp_seconds 1500`,
		`pimsd_api_key_next_expiry_timestamp_seconds 1600`,
	)
	for _, part := range []string{`version="v1.2.3"`, `goversion="go1.`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(body, part) {
			t.Errorf("a scrape lacks %q", part)
		}
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestNumberIsUnknownWhenTheStoreCannotTell(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	m.WatchUnreadAnswers(func(context.Context) (int, error) { return 0, errors.New("the store is closed") })
	expectLines(t, scrape(t, m), "pimsd_unread_answers NaN")
}

func passes(context.Context) error { return nil }

func TestReadiness(t *testing.T) {
	t.Parallel()
	store := telemetry.Check{Name: "store", Ready: passes}
	broken := telemetry.Check{Name: "configuration", Ready: func(context.Context) error { return errors.New("no key") }}
	for _, tc := range []struct {
		target string
		checks []telemetry.Check
		status int
		body   string
	}{
		{"/readyz", nil, http.StatusOK, "ready\n"},
		{"/readyz", []telemetry.Check{store}, http.StatusOK, "ready\n"},
		{"/readyz?verbose", []telemetry.Check{store}, http.StatusOK, "store: ok\nready\n"},
		{"/readyz", []telemetry.Check{broken, store}, http.StatusServiceUnavailable, "not ready\n"},
		{
			"/readyz?verbose",
			[]telemetry.Check{broken, store},
			http.StatusServiceUnavailable,
			"configuration: failed: no key\nstore: ok\nnot ready\n",
		},
		{"/livez", []telemetry.Check{broken}, http.StatusOK, "alive\n"},
		{"/", nil, http.StatusOK, "pimsd, for operators:\n\n/docs/            the API to read\n/metrics          for Prometheus\n" +
			"/livez            whether the process answers\n/readyz           whether it takes calls\n" +
			"/readyz?verbose   the same, with a line for each condition\n"},
		{"/nothing", nil, http.StatusNotFound, "404 page not found\n"},
	} {
		if status, body := get(t, tc.target, newMetrics(), tc.checks...); status != tc.status || body != tc.body {
			t.Errorf("%s: %d %q, want %d %q", tc.target, status, body, tc.status, tc.body)
		}
	}
}

func TestReadinessDoesNotWaitForASlowCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := telemetry.Check{Name: "store", Ready: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		start := time.Now()
		status, _ := get(t, "/readyz", newMetrics(), slow)
		if took := time.Since(start); status != http.StatusServiceUnavailable || took != 2*time.Second {
			t.Errorf("%d after %s", status, took)
		}
	})
}

func TestHeadersAndMethods(t *testing.T) {
	t.Parallel()
	h := telemetry.OpsHandler(newMetrics())
	for _, path := range []string{"/metrics", "/livez", "/readyz"} {
		for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 405} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
			if w.Code != want {
				t.Errorf("%s %s: %d, want %d", method, path, w.Code, want)
			}
			if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: headers are %v", method, path, w.Header())
			}
		}
	}
}
