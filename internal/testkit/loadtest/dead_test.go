package loadtest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

const circuitState = "pimsd_inwebo_circuit_state"

// behindProxy is a daemon with a circuit, whose inWebo is behind a proxy, and ten accounts on it.
func behindProxy(t *testing.T, more ...func(*pimsdtest.Setup)) (*proxy, *pimsdtest.Daemon, []*pimsdtest.Account) {
	t.Helper()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		impatient(s)
		s.Config.Inwebo.CircuitFaults, s.Config.Inwebo.CircuitTimeout, s.Config.Inwebo.SetupRepeats = 3, time.Second, 10
		s.Config.Guard.Attempts, s.Config.Guard.Unanswered = 2, 2*time.Second
		for _, change := range more {
			change(s)
		}
	})
	var all []*pimsdtest.Account
	for i := range 10 {
		all = append(all, d.Enroll(fmt.Sprint("account ", i), aPIN))
	}
	between := newProxy(t, strings.TrimPrefix(d.Inwebo.ProtocolURL(), "http://"))
	var err error
	if d.Config.Inwebo.URL, err = url.Parse("http://" + between.Listen); err != nil {
		t.Fatal(err)
	}
	d.Restart()
	return between, d, all
}

// retryAfter is what the answer says, 0 when it says nothing.
func retryAfter(a pimsdtest.Answer) time.Duration {
	seconds, _ := strconv.Atoi(a.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second
}

// everybody asks once, at once, and each is answered in time: with an OTP, or that inWebo is not there.
func everybody(t *testing.T, all []*pimsdtest.Account, allowed ...string) []pimsdtest.Answer {
	t.Helper()
	answers := make([]pimsdtest.Answer, len(all))
	var asking sync.WaitGroup
	for i, a := range all {
		asking.Go(func() {
			began := time.Now()
			answers[i] = a.OTP(aPIN)
			if took := time.Since(began); took > deadline+settling || !slices.Contains(allowed, describe(answers[i])) {
				t.Errorf("%s: told %s after %v", a.Name, answers[i].Body, took)
			}
		})
	}
	asking.Wait()
	return answers
}

// describe returns the status and the code of an answer.
func describe(a pimsdtest.Answer) string { return fmt.Sprint(a.Status, " ", a.Code) }

// patiently asks until there is an OTP, a few times: who is told to wait waits, but not for ever.
func patiently(a *pimsdtest.Account) pimsdtest.Answer {
	answer := a.OTP(aPIN)
	for tries := 0; answer.OTP == "" && tries < 5; tries++ {
		time.Sleep(min(max(retryAfter(answer), 100*time.Millisecond), 3*time.Second))
		answer = a.OTP(aPIN)
	}
	return answer
}

// recovered wants that all get an OTP without a restart, soon after inWebo is back.
func recovered(t *testing.T, all []*pimsdtest.Account) {
	t.Helper()
	for _, a := range all {
		answer := patiently(a)
		if answer.OTP == "" || !a.Verify(answer.OTP) {
			t.Errorf("%s: when inWebo is back: %s", a.Name, answer.Body)
		}
		expected := a.Expected()
		if expected.MaxFinalizesPerChallenge > 1 || expected.WrongProofs > 0 || expected.Blocked {
			t.Errorf("%s: inWebo has seen %+v", a.Name, expected.Counters)
		}
	}
}

// When inWebo is dead, callers are told so quickly, and when to come back; when it is back, so is pimsd.
func TestInweboIsDead(t *testing.T) {
	t.Parallel()
	between, d, all := behindProxy(t)
	everybody(t, all, given)
	between.Stop()
	everybody(t, all, unreachable, late) // late: on a machine that has much else to do
	open := 0
	for _, answer := range everybody(t, all, unreachable, late) {
		if retryAfter(answer) > 0 {
			open++
		}
	}
	if open < len(all)-1 { // one of them may have probed
		t.Errorf("%d of %d are told when to come back", open, len(all))
	}
	if state := d.Metrics()[circuitState]; state == 0 {
		t.Error("the circuit is closed")
	}
	if err := between.Start(); err != nil {
		t.Fatal(err)
	}
	recovered(t, all)
	if state := d.Metrics()[circuitState]; state != 0 {
		t.Errorf("the circuit's state is %v", state)
	}
}

// When inWebo is silent, the first callers wait for it, and those who come later do not.
func TestInweboIsSilent(t *testing.T) {
	t.Parallel()
	between, d, all := behindProxy(t)
	between.poison(t, toxic{"timeout", map[string]int{"timeout": 0}}, upstream)
	everybody(t, all, late, unreachable)
	began := time.Now()
	for range 5 {
		everybody(t, all, unreachable, late)
	}
	if took := time.Since(began); took > 5*exchangeTimeout+settling {
		t.Errorf("with the circuit open, 5 rounds took %v", took)
	}
	if n := d.InDoubt(); n != 0 {
		t.Errorf("%v devices are in doubt, and no finalize was sent", n)
	}
	between.cure(t)
	recovered(t, all)
}
