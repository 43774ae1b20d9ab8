package pimsdtest_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// until repeats what has to happen soon by itself.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for began := time.Now(); !happened(); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// getContract is a request that costs nothing and that nothing counts.
func getContract(t *testing.T, d *pimsdtest.Daemon) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL("/openapi.yaml"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// drained waits until an interrupted daemon refuses requests, on connections of its own.
func drained(t *testing.T, d *pimsdtest.Daemon) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	until(t, "the daemon drains", func() bool {
		resp, err := transport.RoundTrip(getContract(t, d))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.Close
	})
}

// While a conversation is under way, a stopping daemon is not ready, refuses what is new, and returns the OTP.
func TestDraining(t *testing.T) {
	t.Parallel()
	alice := enrolled(t)
	d := alice.Daemon
	bob := d.Enroll("bob", aPIN)
	reached, release := d.Pause(pimsdtest.ActionFinalize)
	underWay := ask(alice)
	<-reached
	d.Do(getContract(t, d)) // and leaves a connection that is kept alive
	before := otpCounters(d)

	d.Interrupt()
	until(t, "readiness fails", func() bool { status, _ := d.Ops("/readyz"); return status == http.StatusServiceUnavailable })
	drained(t, d)
	for i, a := range []*pimsdtest.Account{bob, bob, alice} { // the second on a connection of its own
		got := a.OTP(aPIN)
		wantFailure(t, got, 503, 2001, fifteen()[2001], true)
		if moved := minus(otpCounters(d), before); !maps.Equal(moved, map[string]float64{"2001": float64(i + 1)}) {
			t.Errorf("pimsd_otp_requests_total moved by %v", moved)
		}
	}
	if status, text := d.Ops("/readyz?verbose"); status != http.StatusServiceUnavailable || !strings.Contains(text, "serving: failed") {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
	if status, _ := d.Ops("/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
	release()
	wantGood(t, alice, underWay())

	d.Restart()
	wantOTP(t, alice)
	wantOTP(t, bob)
}

// A daemon ends, though inWebo never answers. Its caller is told, and the device is in doubt.
func TestStoppingEndsThoughInweboIsSilent(t *testing.T) {
	t.Parallel()
	a := enrolled(t, shortDeadline)
	a.Plant(at(pimsdtest.ActionFinalize, inwebosim.Fault{Kind: inwebosim.KindDelay, Delay: inwebosim.Duration(time.Hour)}))
	asked := a.Expected().Finalizes
	answer := ask(a)
	until(t, "inWebo hears a finalize", func() bool { return a.Expected().Finalizes > asked })
	a.Daemon.Stop()
	wantFailure(t, answer(), 504, 2202, fifteen()[2202], false)

	a.Daemon.Inwebo.ClearFaults()
	a.Daemon.Restart()
	if n := a.Daemon.InDoubt(); n != 1 {
		t.Errorf("%v devices in doubt", n)
	}
	wantOTP(t, a)
}

// A request that has waited for the device when the daemon is told to stop is refused when its turn comes.
func TestDrainingRefusesTheQueue(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	reached, release := a.Daemon.Pause(pimsdtest.ActionFinalize)
	first := ask(a)
	<-reached
	second := ask(a)
	until(t, "the second is under way", func() bool { return a.Daemon.Metrics()["pimsd_requests_in_flight"] == 2 })
	a.Daemon.Interrupt()
	drained(t, a.Daemon)
	release()
	wantGood(t, a, first())
	wantFailure(t, second(), 503, 2001, fifteen()[2001], true)
}

// With a drain delay, a daemon whose readiness fails already goes on serving.
func TestReadinessFailsFirst(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Config.Stop.DrainDelay = time.Second })
	reached, release := a.Daemon.Pause(pimsdtest.ActionFinalize)
	underWay := ask(a) // keeps the daemon from ending
	<-reached
	bob := a.Daemon.Enroll("bob", aPIN)
	a.Daemon.Interrupt()
	served := false
	until(t, "requests are refused", func() bool {
		status, _ := a.Daemon.Ops("/readyz")
		got := bob.OTP(aPIN)
		served = served || status == http.StatusServiceUnavailable && got.Code == 0
		return got.Code == 2001
	})
	if !served {
		t.Error("no request was served after readiness had failed")
	}
	release()
	wantGood(t, a, underWay())
}

// Who hangs up in the middle gets no OTP. The conversation ends all the same, and the device is not in doubt.
func TestACallerWhoHangsUp(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
		reached, release := a.Daemon.Pause(action)
		step := a.Expected().Step
		ctx, hangUp := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.Daemon.URL("/v1/authentication/otp"), strings.NewReader(pimsdtest.WithPIN(aPIN)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.Key)
		req.Header.Set("Content-Type", "application/json")
		go func() {
			<-reached
			hangUp()
		}()
		transport := &http.Transport{}
		if resp, err := transport.RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Errorf("HTTP %d", resp.StatusCode)
		}
		release()
		wantOTP(t, a)
		if expected := a.Expected(); expected.Step != step+2 || expected.WrongProofs != 0 || expected.Overlaps != 0 {
			t.Errorf("%s: inWebo has seen %+v", action, expected.Counters)
		}
		if n := a.Daemon.InDoubt(); n != 0 {
			t.Errorf("%v devices in doubt", n)
		}
	}
}
