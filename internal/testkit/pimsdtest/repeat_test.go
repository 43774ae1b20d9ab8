package pimsdtest_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// A repeat gets the first answer from the daemon that gave it, from a replica, and after a restart; and when its time is
// over, neither the answer nor the fingerprint is left in the store.
func TestARepeatedRequest(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	first := a.Repeatable("one", aPIN)
	if !a.Verify(first.OTP) {
		t.Fatalf("%s", first.Body)
	}
	wrong := a.Repeatable("two", "9999")
	replica := a.Daemon.Replica()
	again := func(d *pimsdtest.Daemon, key, pin string, want pimsdtest.Answer) {
		t.Helper()
		got := a.On(d).Repeatable(key, pin)
		if got.Body != want.Body || got.Status != want.Status || got.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%d %s %v, want %d %s", got.Status, got.Body, got.Header, want.Status, want.Body)
		}
	}
	again(a.Daemon, "one", aPIN, first)
	again(replica, `"one"`, aPIN, first)
	again(replica, "two", "9999", wrong)
	a.Daemon.Restart()
	again(a.Daemon, "one", aPIN, first)

	if got := a.Repeatable("two", aPIN); got.Status != 422 || got.Code != 2102 || got.Label != "Invalid Idempotency-Key parameter" {
		t.Errorf("another body: %d %s", got.Status, got.Body)
	}
	if got := a.On(replica).Repeatable("two", "9999"); got.Status != 409 || got.Code != 2005 {
		t.Errorf("after another body: %d %s", got.Status, got.Body)
	}
	replica.Stop()
	a.Daemon.Config.Idempotency.AnswerLife = time.Second
	a.Daemon.Restart()
	time.Sleep(time.Second)
	if got := a.Repeatable("one", aPIN); got.Status != 409 || got.Code != 2005 || got.Header.Get("Retry-After") != "" {
		t.Errorf("after its time: %d %s %v", got.Status, got.Body, got.Header)
	}
	for answersKept(t, a.Daemon) > 0 {
		time.Sleep(100 * time.Millisecond)
	}
	if expected := a.Expected(); expected.Issued != 1 || expected.WrongProofs != 1 {
		t.Errorf("inWebo has seen %+v", expected.Counters)
	}
	if metrics := a.Daemon.Metrics(); metrics[`pimsd_otp_requests_total{code="2005"}`] != 1 {
		t.Errorf("2005 is counted %v times", metrics[`pimsd_otp_requests_total{code="2005"}`])
	}
	if log := a.Daemon.Log(); !strings.Contains(log, `"repeated":true`) {
		t.Error("the log does not tell a repeat")
	}
}

// However many requests come at once under one key, at a daemon and its replica, there is one conversation. Each request gets its answer,
// or is told to come again.
func TestHundredsOfRequestsUnderOneKey(t *testing.T) {
	t.Parallel()
	const requests = 300
	a := enrolled(t)
	replica, before := a.On(a.Daemon.Replica()), a.Expected()
	answers := make(chan pimsdtest.Answer, requests)
	for i := range requests {
		caller := a
		if i%2 == 1 {
			caller = replica
		}
		go func() { answers <- caller.Repeatable("one", aPIN) }()
	}
	told := map[string]int{}
	for range requests {
		got := <-answers
		again := got.Header.Get("Retry-After") != ""
		switch {
		case got.OTP != "":
			told[got.Body]++
		case !again || got.Code != 2005 && got.Code != 2001 && got.Code != 2311:
			t.Errorf("told %d %s %v", got.Status, got.Body, got.Header)
		}
	}
	last := a.Repeatable("one", aPIN)
	if len(told) != 1 || told[last.Body] == 0 || !a.Verify(last.OTP) {
		t.Errorf("the answers are %v, and that of a repeat %s", told, last.Body)
	}
	if expected := a.Expected(); expected.Setups != before.Setups+1 || expected.Finalizes != before.Finalizes+1 {
		t.Errorf("inWebo has seen %+v", expected.Counters)
	}
}

// answersKept counts the answers and fingerprints that the store has.
func answersKept(t *testing.T, d *pimsdtest.Daemon) int {
	t.Helper()
	return countResponses(t, database(d))
}

// countResponses counts the responses and fingerprints that a database stores.
func countResponses(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const count = `SELECT count(*) FROM answer WHERE answer IS NOT NULL OR fingerprint IS NOT NULL`
	if err := db.QueryRowContext(t.Context(), count).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Calls that fail are in the audit log, and do not fill it.
func TestRefusedCallersAreAudited(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	stranger := a.Daemon.Ask(a.Key+"x", pimsdtest.WithPIN(aPIN))
	other := a.Daemon.Ask(a.Key, pimsdtest.WithPIN(aPIN), "X-Pims-Account: bob")
	for range 300 {
		a.Daemon.Ask("nobody", pimsdtest.WithPIN(aPIN))
	}
	if got := a.OTP(aPIN); !a.Verify(got.OTP) {
		t.Errorf("%s", got.Body)
	}
	a.Daemon.Restart() // what was taken is stored by then
	var unknown, notEntitled int
	for _, line := range a.Daemon.Audit() {
		switch {
		case line.Caller == "unknown" && line.Outcome == "unauthenticated" && line.Action == "otp":
			unknown++
		case strings.HasPrefix(line.Caller, "key:") && line.Outcome == "account_forbidden" && line.Account == "bob":
			notEntitled++
		}
		if line.Outcome != "" && strings.HasPrefix(line.Transaction, stranger.Transaction) && line.Caller != "unknown" {
			t.Errorf("the stranger's line is %+v", line)
		}
	}
	if unknown < 50 || unknown > 150 || notEntitled != 1 || other.Status != 403 {
		t.Errorf("%d strangers and %d that are not entitled are in the audit log (%d)", unknown, notEntitled, other.Status)
	}
}
