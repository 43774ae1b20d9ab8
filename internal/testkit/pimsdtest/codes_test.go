package pimsdtest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// fifteen are the codes that the SDK publishes for the call, with their labels as docs/contract.md §2 has them.
func fifteen() map[int]string {
	return map[int]string{
		2000: "Unknown error",
		2001: "Facade not initialized",
		2006: "Core not well configured",
		2101: "Missing [PARAMETER] parameter",
		2102: "Invalid [PARAMETER] parameter",
		2202: "Network problem : No internet",
		2308: "inwebo: access refused",
		2309: "inwebo: version error",
		2310: "inwebo: account is blocked",
		2311: "inwebo: internal state not correct",
		2312: "inwebo: device is disabled or unknown",
		2313: "inwebo: User must activate inWebo helium or inWebo Desktop Token before achieving this operation",
		2314: "inwebo: No service is available",
		2316: "inwebo: the operation succeeded but it required a post-synchronization which failed",
		2317: "inwebo: forbidden operation (due to activated state/blocked state/upgradable state)",
	}
}

// others are codes of other calls, which inWebo might answer to this one too.
func others() map[int]string {
	return map[int]string{
		2305: "The sms code is invalid",
		2315: "inwebo: the new password equals the previous one",
		2348: "StrongID document quoata reached",
	}
}

// cause is one way to a code.
type cause struct {
	name         string
	code, status int
	parameter    string // in the label
	retry        bool   // the answer has a Retry-After
	// alone returns it a daemon of its own, which this changes; nil: it shares one.
	alone func(*pimsdtest.Setup)
	// before prepares the cause, for the request that follows.
	before func(t *testing.T, a *pimsdtest.Account)
	// body of the request; empty: a good one with the right PIN.
	body string
	// unaudited means that the store takes no audit entry, either.
	unaudited bool
	// stays says that the cause is still there when all faults have gone. Otherwise the next request gets an OTP.
	stays bool
}

func causes() []cause {
	return slices.Concat(inputCauses(), pinCauses(), refusalCauses(), hostCauses(), networkCauses(), nonsenseCauses(),
		roundCauses(), doubtCauses(), stateCauses(), storeCauses())
}

func TestEveryCodeByItsCause(t *testing.T) {
	t.Parallel()
	common := pimsdtest.Start(t)
	for i, c := range causes() {
		t.Run(fmt.Sprintf("%d %s", c.code, c.name), func(t *testing.T) {
			if c.alone == nil {
				c.check(t, common.Enroll(fmt.Sprintf("account %d", i), aPIN))
				return
			}
			t.Parallel()
			c.check(t, enrolled(t, c.alone))
		})
	}
}

// check provokes the cause, and looks at everything that the caller and the operators see of it.
func (c cause) check(t *testing.T, a *pimsdtest.Account) {
	t.Helper()
	if c.before != nil {
		c.before(t, a)
	}
	label, published := fifteen()[c.code]
	if !published {
		label = others()[c.code]
	}
	body := c.body
	if body == "" {
		body = pimsdtest.WithPIN(a.PIN)
	}
	before := otpCounters(a.Daemon)
	got := a.Daemon.Ask(a.Key, body)
	moved := minus(otpCounters(a.Daemon), before)

	wantFailure(t, got, c.status, c.code, strings.ReplaceAll(label, "[PARAMETER]", c.parameter), c.retry)
	if want := map[string]float64{fmt.Sprint(c.code): 1}; !maps.Equal(moved, want) {
		t.Errorf("pimsd_otp_requests_total moved by %v, want %v", moved, want)
	}
	if !c.unaudited {
		wantAudited(t, a.Daemon, got, a.Name)
	}
	if !c.stays {
		a.Daemon.Inwebo.ClearFaults()
		wantOTP(t, a)
	}
}

// otpCounters are pimsd_otp_requests_total by code.
func otpCounters(d *pimsdtest.Daemon) map[string]float64 {
	counters := map[string]float64{}
	for series, value := range d.Metrics() {
		if code, ok := strings.CutPrefix(series, `pimsd_otp_requests_total{code="`); ok {
			counters[strings.TrimSuffix(code, `"}`)] = value
		}
	}
	return counters
}

// minus is what has been counted since before.
func minus(after, before map[string]float64) map[string]float64 {
	difference := map[string]float64{}
	for name, value := range after {
		if value != before[name] {
			difference[name] = value - before[name]
		}
	}
	return difference
}

func TestTheCausesCoverTheFifteenCodes(t *testing.T) {
	t.Parallel()
	missing := fifteen()
	delete(missing, 2001) // see TestDraining
	for _, c := range causes() {
		delete(missing, c.code)
	}
	for code := range missing {
		t.Errorf("nothing here causes %d", code)
	}
}

func TestEveryCodeIsCountedFromTheStart(t *testing.T) {
	t.Parallel()
	counters := otpCounters(pimsdtest.Start(t))
	for _, code := range slices.Concat([]int{0, 2002, 2005, 2301, 2349}, slices.Collect(maps.Keys(fifteen())), slices.Collect(maps.Keys(others()))) {
		if value, there := counters[fmt.Sprint(code)]; !there || value != 0 {
			t.Errorf("code %d starts at %v, there: %v", code, value, there)
		}
	}
}

// planting prepares a cause by a fault.
func planting(n inwebosim.Fault) func(*testing.T, *pimsdtest.Account) {
	return func(_ *testing.T, a *pimsdtest.Account) { a.Plant(n) }
}

// at is the fault for the requests of an action, as often as they come.
func at(action string, n inwebosim.Fault) inwebosim.Fault {
	n.Action, n.Times = action, -1
	return n
}

// onEither plants the fault for the setup in one cause and for the finalize in another, which inWebo does not process.
func onEither(c cause, n inwebosim.Fault) []cause { return onEach(c, c, n) }

// onEach is onEither for a fault that causes something else in a setup than in a finalize.
func onEach(setup, finalize cause, n inwebosim.Fault) []cause {
	n.Process = new(bool)
	setup.name, setup.before = setup.name+" in the setup", planting(at(pimsdtest.ActionSetup, n))
	finalize.name, finalize.before = finalize.name+" in the finalize", planting(at(pimsdtest.ActionFinalize, n))
	return []cause{setup, finalize}
}
