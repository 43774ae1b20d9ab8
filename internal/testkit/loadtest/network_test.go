package loadtest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// The times of these daemons, short enough to wait for.
const (
	exchangeTimeout = 2 * time.Second
	deadline        = 6 * time.Second
	settling        = 4 * time.Second // a machine with other things to do
)

func impatient(s *pimsdtest.Setup) {
	s.Config.Inwebo.ExchangeTimeout, s.Config.Inwebo.DialTimeout = exchangeTimeout, exchangeTimeout/2
	s.Config.Conversation.Deadline, s.Config.Conversation.QueueWait = deadline, time.Second
	s.Inwebo.Knobs.LostFinalize = inwebosim.LostFinalizeLenient // what recovery looks like is for other tests
}

// outcomes of a toxic: what a caller may be told, as status and code.
const (
	given       = "200 0"
	unreachable = "502 2202"
	late        = "504 2202"
	kept        = "502 2316" // the answer to a finalize ended behind the start of its root
)

type poisoning struct {
	toxic
	outcomes []string
}

func poisonings() []poisoning {
	return []poisoning{
		{toxic{"latency", map[string]int{"latency": 200, "jitter": 50}}, []string{given}},
		{toxic{"latency", map[string]int{"latency": 6000}}, []string{late}},
		{toxic{"bandwidth", map[string]int{"rate": 1}}, []string{given, late, kept}},
		{toxic{"slow_close", map[string]int{"delay": 500}}, []string{given}},
		{toxic{"timeout", map[string]int{"timeout": 0}}, []string{late, unreachable}},
		{toxic{"timeout", map[string]int{"timeout": 200}}, []string{unreachable}},
		{toxic{"reset_peer", map[string]int{"timeout": 0}}, []string{unreachable}},
		{toxic{"reset_peer", map[string]int{"timeout": 200}}, []string{given, unreachable, kept}}, // the answer may be quicker
		{toxic{"slicer", map[string]int{"average_size": 64, "size_variation": 16, "delay": 1000}}, []string{given}},
		{toxic{"limit_data", map[string]int{"bytes": 40}}, []string{unreachable}},
	}
}

// Behind each toxic, in both directions and at both calls, a caller is answered in time and with the right code, the
// device moves by one step at most, and when the toxic is gone the next OTP verifies.
func TestEveryToxicInBothDirectionsAtBothCalls(t *testing.T) {
	d := pimsdtest.Start(t, impatient)
	inwebo := strings.TrimPrefix(d.Inwebo.ProtocolURL(), "http://")
	cross := newCrossing(t, inwebo)
	var err error
	if d.Config.Inwebo.URL, err = url.Parse("http://" + cross.listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	d.Restart()
	t.Run("all", func(t *testing.T) { // the daemon ends after the last of them
		for i, p := range poisonings() {
			for _, direction := range []string{upstream, downstream} {
				for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
					name := fmt.Sprint(p.kind, p.attributes, " ", direction, " ", action)
					a := d.Enroll(fmt.Sprint("account ", i, direction, action), aPIN)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						p.check(t, a, cross, newProxy(t, inwebo), direction, action)
					})
				}
			}
		}
	})
}

func (p poisoning) check(t *testing.T, a *pimsdtest.Account, cross *crossing, through *proxy, direction, action string) {
	through.poison(t, p.toxic, direction)
	before := a.Expected()
	cross.turn(before.ID, action, through.Listen)
	began := time.Now()
	answer := a.OTP(aPIN)
	took := time.Since(began)
	cross.turn(before.ID, action, "")

	if told := describe(answer); !slices.Contains(p.outcomes, told) || (answer.OTP != "") != (told == given) {
		t.Errorf("told %s, want one of %q: %s", told, p.outcomes, answer.Body)
	}
	if answer.OTP != "" && !a.Verify(answer.OTP) {
		t.Error("the OTP does not verify")
	}
	if took > deadline+settling {
		t.Errorf("answered after %v", took)
	}
	after := a.Expected()
	if after.Step > before.Step+1 || after.MaxFinalizesPerChallenge > 1 || after.WrongProofs > 0 {
		t.Errorf("inWebo has seen %+v", after.Counters)
	}
	if again := a.OTP(aPIN); again.OTP == "" || !a.Verify(again.OTP) {
		t.Errorf("when the toxic is gone: %s", again.Body)
	}
}
