package pimsdtest_test

import (
	"database/sql"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// auditLines are those that the audit log has for an answer, "stage outcome" each.
func auditLines(t *testing.T, d *pimsdtest.Daemon, got pimsdtest.Answer) (lines []string) {
	t.Helper()
	db, err := sql.Open("sqlite", database(d))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT stage || ' ' || outcome FROM audit WHERE transaction_id = ? ORDER BY id`,
		got.Header.Get("X-Request-Id"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// What came to inWebo, or was about to, is in the audit log when its answer is out.
func TestEveryAttemptIsAudited(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	for _, tt := range []struct {
		ask  func() pimsdtest.Answer
		want []string
	}{
		{func() pimsdtest.Answer { return a.OTP(aPIN) }, []string{"attempt", "outcome done"}},
		{func() pimsdtest.Answer { return a.OTP(wrongPIN) }, []string{"attempt", "outcome pin_refused"}},
		{func() pimsdtest.Answer { always(t, a); return a.OTP(aPIN) }, []string{"attempt", "outcome done", "outcome done"}},
	} {
		if got := auditLines(t, a.Daemon, tt.ask()); !slices.Equal(got, tt.want) {
			t.Errorf("the audit log has %q, want %q", got, tt.want)
		}
	}
}

// An OTP costs a commit before inWebo is asked, and one for each of its answers.
func TestWhatAnOTPCosts(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	for _, rounds := range []float64{1, 2} {
		if rounds == 2 {
			always(t, a)
		}
		before := costs(a.Daemon)
		wantOTP(t, a)
		want := map[string]float64{
			`pimsd_commits_total{outcome="done",write="lease"}`:                                  1,
			`pimsd_commits_total{outcome="done",write="settle"}`:                                 rounds,
			`pimsd_inwebo_exchange_duration_seconds_count{exchange="otp_setup",outcome="ok"}`:    rounds,
			`pimsd_inwebo_exchange_duration_seconds_count{exchange="otp_finalize",outcome="ok"}`: rounds,
		}
		if got := minus(costs(a.Daemon), before); !maps.Equal(got, want) {
			t.Errorf("an OTP of %v rounds costs %v", rounds, got)
		}
	}
}

// costs are the metrics that count writes and requests to inWebo.
func costs(d *pimsdtest.Daemon) map[string]float64 {
	counted := d.Metrics()
	maps.DeleteFunc(counted, func(series string, _ float64) bool {
		return !strings.HasPrefix(series, "pimsd_commits_total") && !strings.HasPrefix(series, "pimsd_inwebo_exchange_duration_seconds_count")
	})
	return counted
}
