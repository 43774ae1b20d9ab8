package crashtest_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// enrollmentPoints are those of a run between the moment when the store is there and the report that the device is enrolled.
func enrollmentPoints(t *testing.T) (all []point) {
	t.Helper()
	w := newHarness(t, variants()[0])
	defer w.end(t)
	var made []crashtest.Call
	first, last := 0, 0
	log, failed, err := w.run(t.Context(), "daemon", 0, func(c crashtest.Call) crashtest.Action {
		made = append(made, c)
		if !w.acknowledged.enrolling {
			first = len(made)
		}
		if !w.acknowledged.enrolled {
			last = len(made)
		}
		return crashtest.Allow()
	})
	if err != nil || failed || last <= first {
		t.Fatalf("undisturbed, an enrollment makes the calls %d to %d (%v). Its log:\n%s", first+1, last, err, log)
	}
	for _, p := range points(made) {
		if p.n > first && p.n <= last {
			all = append(all, p)
		}
	}
	return all
}

// A crash or a failing disk, at any durable call of an enrollment, leaves an account that is not enrolled and says so, or
// one whose OTPs inWebo accepts. Either way the next enrollment shows inWebo the serial of the first: it knows one device.
func TestCrashSweepOfAnEnrollment(t *testing.T) {
	t.Parallel()
	all := enrollmentPoints(t)
	s := newSweep("daemon")
	s.otps = 0
	start := time.Now()
	s.run(t, allOr(16, all))
	t.Logf("%d of %d points of an enrollment in %v\n%s", s.tried(), len(all), time.Since(start).Round(time.Second), s)
	if s.tried() == 0 {
		t.Error("no point was reached")
	}
	for _, err := range s.faults {
		t.Error(err)
	}
}
