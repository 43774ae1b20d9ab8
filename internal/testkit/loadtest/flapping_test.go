package loadtest_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// What callers with right PINs may be told of an account of which too many answers were lost.
const (
	waiting = "429 2308" // for the guesses whose answers were lost
	behind  = "502 2316" // inWebo refuses the keys
	locked  = "423 2308"
)

// While inWebo comes and goes, right PINs alone lock no account. In the end each account gets its OTPs, or its device fell
// behind when an answer was lost, and its callers are told so: that is no lock, and nothing of it is counted at inWebo.
func TestInweboFlaps(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]func(*inwebosim.Knobs){
		"keys stay": func(k *inwebosim.Knobs) { k.Ratchet = inwebosim.RatchetNone },
		"keys move, and the old ones are forbidden": func(k *inwebosim.Knobs) { k.LostFinalize = inwebosim.LostFinalizeForbidden },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			between, d, all := behindProxy(t, func(s *pimsdtest.Setup) { turn(&s.Inwebo.Knobs) })
			whileItFlaps(t, between, func() { everybody(t, all, given, unreachable, late, waiting, behind) })
			fell := stragglers(t, all, behind)
			if len(fell) > 0 && d.Inwebo.Knobs().Ratchet == inwebosim.RatchetNone {
				t.Errorf("%d devices are refused their keys, which never moved", len(fell))
			}
			enrolAnew(d, fell)
			recovered(t, all)
		})
	}
}

// Where inWebo counts a device's old keys as wrong PINs, an account may end locked: its next guess would have blocked it
// (TestRightPINsOfADeviceThatFellBehind). What holds then: inWebo blocks no account, and the enrollment that the device needs ends it.
// A lost answer stays taken for longer than the test: to have it given back again and again is the one way past the guard.
func TestInweboFlapsAndCountsOldKeys(t *testing.T) {
	t.Parallel()
	for _, mode := range []inwebosim.LostFinalize{inwebosim.LostFinalizeLenient, inwebosim.LostFinalizeStrict} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			between, d, all := behindProxy(t, func(s *pimsdtest.Setup) {
				s.Inwebo.Knobs.LostFinalize, s.Config.Guard.Pause, s.Config.Guard.Unanswered = mode, time.Second, time.Hour
			})
			whileItFlaps(t, between, func() { everybody(t, all, given, unreachable, late, waiting, behind, locked) })
			fell := stragglers(t, all, behind, waiting, locked)
			for _, a := range all {
				if expected := a.Expected(); expected.Blocked || expected.WrongPeak > 2 {
					t.Errorf("%s: inWebo has counted %+v", a.Name, expected.Counters)
				}
			}
			enrolAnew(d, fell)
			stragglers(t, fell)
		})
	}
}

// whileItFlaps lets the way to inWebo be there for a moment and gone for one, again and again, and the callers ask all the while.
func whileItFlaps(t *testing.T, between *proxy, ask func()) {
	t.Helper()
	ended := make(chan struct{})
	var flapping sync.WaitGroup
	flapping.Go(func() {
		for ticks := time.Tick(200 * time.Millisecond); ; {
			between.Stop()
			<-ticks
			if err := between.Start(); err != nil {
				t.Error(err)
			}
			select {
			case <-ended:
				return
			case <-ticks:
			}
		}
	})
	for began := time.Now(); time.Since(began) < either(4*time.Second, 30*time.Second); {
		ask()
	}
	close(ended)
	flapping.Wait()
}

// stragglers wants an OTP for each account, as recovered does, or that its callers are told one of what is allowed instead;
// it gives those accounts.
func stragglers(t *testing.T, all []*pimsdtest.Account, allowed ...string) (fell []*pimsdtest.Account) {
	t.Helper()
	var asking sync.WaitGroup
	var mu sync.Mutex
	for _, a := range all {
		asking.Go(func() {
			answer := patiently(a)
			mu.Lock()
			defer mu.Unlock()
			switch told := describe(answer); {
			case answer.OTP != "" && a.Verify(answer.OTP):
			case slices.Contains(allowed, told):
				fell = append(fell, a)
			default:
				t.Errorf("%s: when inWebo is back: %s", a.Name, answer.Body)
			}
		})
	}
	asking.Wait()
	t.Logf("%d of %d devices fell behind", len(fell), len(all))
	return fell
}

func enrolAnew(d *pimsdtest.Daemon, accounts []*pimsdtest.Account) {
	for _, a := range accounts {
		*a = *d.Enroll(a.Name, a.PIN)
	}
}
