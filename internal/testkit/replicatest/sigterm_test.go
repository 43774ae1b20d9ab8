package replicatest_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// The times of a process that is told to end.
const (
	drainDelay      = 100 * time.Millisecond
	deadline        = 8 * time.Second
	settleAllowance = 10 * time.Second // as pimsd has it
)

// SIGTERM at any moment under load loses nothing: what callers were given verifies, every device goes on after a restart,
// and the end comes in time, with status 0.
func TestSIGTERMAtAnyMoment(t *testing.T) {
	rounds := either(3, 100)
	for name, store := range map[string]func(*testing.T) settings{"SQLite": onSQLite, "PostgreSQL": onPostgres(database)} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			w := newHarness(t, store(t), settings{
				"STOP_DRAIN_DELAY":      drainDelay.String(),
				"CONVERSATION_DEADLINE": deadline.String(), "INWEBO_EXCHANGE_TIMEOUT": "3s",
			}, inwebosim.DefaultKnobs())
			accounts := w.enroll(8)
			w.inwebo.SetHooks(inwebosim.Hooks{After: func(inwebosim.Exchange) { // so that any moment is in the middle of something
				time.Sleep(rand.N(20 * time.Millisecond))
			}})
			var slowest time.Duration
			acknowledged := 0
			for range rounds {
				took, otps := w.terminateUnderLoad(accounts)
				slowest, acknowledged = max(slowest, took), acknowledged+otps
			}
			w.wantAllOn(w.start(), accounts)
			t.Logf("%d signals, %d OTPs; the slowest end took %v", rounds, acknowledged, slowest.Round(time.Millisecond))
		})
	}
}

// terminateUnderLoad starts a process, in which every device must go on, and tells it to end at some moment.
func (w *harness) terminateUnderLoad(accounts []string) (took time.Duration, otps int) {
	w.t.Helper()
	p := w.start()
	w.wantAllOn(p, accounts)
	var load sync.WaitGroup
	got := make([]int, 2*len(accounts))
	for i := range got {
		load.Go(func() { got[i] = w.askUntilTheEnd(p, accounts[i%len(accounts)]) })
	}
	time.Sleep(rand.N(300 * time.Millisecond))
	took = p.terminate()
	load.Wait()
	if bound := drainDelay + deadline + settleAllowance + time.Second; took > bound {
		w.t.Errorf("the process ended after %v, want %v at most", took, bound)
	}
	if p.err != nil || strings.Contains(p.text(), "gave up") || !strings.Contains(p.text(), `"stopped"`) {
		w.t.Errorf("the process ended with %v:\n%s", p.err, p.text())
	}
	for _, n := range got {
		otps += n
	}
	return took, otps
}

// askUntilTheEnd asks until the process refuses or is gone, and verifies every OTP.
func (w *harness) askUntilTheEnd(p *process, account string) (otps int) {
	for {
		a := w.ask(p, account)
		switch {
		case w.verifies(account, a):
			otps++
		case a.code == 2001, a.err != nil && w.isEnding(p):
			return otps
		default:
			w.t.Errorf("%s: %v, want an OTP that verifies, or a refusal since the process ends", account, a)
			return otps
		}
	}
}

// isEnding reports whether the process has been told to end.
func (w *harness) isEnding(p *process) bool { return strings.Contains(p.text(), `"stopping"`) }

// wantAllOn wants of every device an OTP that verifies, and no doubt.
func (w *harness) wantAllOn(p *process, accounts []string) {
	w.t.Helper()
	var all sync.WaitGroup
	for _, account := range accounts {
		all.Go(func() { w.wantOTP(p, account) })
	}
	all.Wait()
	for _, account := range accounts {
		expected, status := w.expected(account), w.status(account)
		if status.InDoubt || expected.Overlaps != 0 || expected.WrongProofs != 0 || expected.StaleProofs != 0 || status.Step != w.base+uint64(expected.Step) {
			w.t.Errorf("%s: inWebo has seen %+v, the store has %+v", account, expected.Counters, status)
		}
	}
}
