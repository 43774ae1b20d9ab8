package pimsdtest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// line is a line of the log, as far as these tests look at it.
type line struct {
	Time, Level, Message           string
	Transaction, Route, Method     string
	Caller, Account, Cause, Remote string
	Denied                         string
	Code, Status                   int
	Took                           float64
	CallerLeft                     bool
}

// requestLines are those of the log that tell of a request. Every line must be JSON.
func requestLines(t *testing.T, d *pimsdtest.Daemon) (lines []line) {
	t.Helper()
	for text := range strings.Lines(d.Log()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Time == "" || l.Level == "" || l.Message == "" {
			t.Errorf("a line of the log is not what it should be: %v: %s", err, text)
		}
		if l.Message == "request" {
			lines = append(lines, l)
		}
	}
	return lines
}

// There is one line for each request, there when its answer is, and both have the same UUID.
func TestOneLinePerRequest(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	answers := []pimsdtest.Answer{a.OTP(aPIN), a.OTP(wrongPIN), a.OTP("12"), a.Daemon.Ask("pims_wrong", pimsdtest.WithPIN(aPIN))}
	for _, req := range strays(a) {
		answers = append(answers, a.Daemon.Do(req))
	}
	answers = append(answers, a.OTP(aPIN))
	lines := requestLines(t, a.Daemon)
	if len(lines) != len(answers) {
		t.Fatalf("%d lines for %d requests", len(lines), len(answers))
	}
	seen := map[string]bool{}
	for i, got := range answers {
		l, id := lines[i], got.Header.Get("X-Request-Id")
		if l.Transaction != id || !uuid.MatchString(id) || !strings.HasPrefix(id, got.Transaction+"-") || len(got.Transaction) != 13 {
			t.Errorf("transactionId %q, X-Request-Id %q, log %q", got.Transaction, id, l.Transaction)
		}
		if l.Code != got.Code || l.Status != got.Status || l.Took <= 0 || (l.Cause == "") != (got.Code == 0) {
			t.Errorf("the line says %+v of %d %s", l, got.Status, got.Body)
		}
		if seen[id] {
			t.Errorf("%s identifies two requests", id)
		}
		seen[id] = true
	}
	if l := lines[0]; l.Account != a.Name || !strings.HasPrefix(l.Caller, "key:") || l.Route != "/v1/authentication/otp" || l.Method != http.MethodPost || l.Level != "info" {
		t.Errorf("the line of an OTP says %+v", l)
	}
}

// Levels say who must act: no one, the caller, the operators.
func TestLevels(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	a.OTP(aPIN)
	a.OTP(wrongPIN)
	loseAnswer(t, a, true)
	a.OTP(aPIN) // 2316
	var levels []string
	for _, l := range requestLines(t, a.Daemon) {
		levels = append(levels, l.Level)
	}
	if got := strings.Join(levels, " "); got != "info warn warn error" {
		t.Errorf("the levels are %s", got)
	}
}
