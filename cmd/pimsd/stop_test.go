package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

// longestDrain is how long a service with the default settings may take to stop, as docs/operations.md says.
func longestDrain() time.Duration {
	const closing = 4 * time.Second // listeners, the last lines of the log, traces
	c := config.Default()
	return c.Stop.DrainDelay + otp.EnrollmentDeadlines*c.Conversation.Deadline + c.Stop.SettleAllowance + closing
}

// A service that is killed before it has stored what inWebo answered leaves devices in doubt: whatever starts it waits longer.
func TestWhateverStopsTheServiceWaitsLongerThanADrain(t *testing.T) {
	t.Parallel()
	for _, says := range []struct{ file, expr string }{
		{"../../deploy/systemd/pimsd.service", `(?m)^TimeoutStopSec=(\d+)$`},
		{"../../deploy/compose/compose.yaml", `(?m)^  stop_grace_period: (\d+)s$`},
		{"../../deploy/helm/pimsd/values.yaml", `(?m)^stopSeconds: (\d+)$`},
		{"../../docs/operations.md", `docker stop -t (\d+)`},
		{"../../docs/operations.md", `docker run --stop-timeout (\d+)`},
	} {
		text, err := os.ReadFile(says.file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(says.expr).FindSubmatch(text)
		if found == nil {
			t.Errorf("%s does not match %s", says.file, says.expr)
			continue
		}
		seconds, _ := strconv.Atoi(string(found[1])) // they are digits
		if given := time.Duration(seconds) * time.Second; given <= longestDrain() {
			t.Errorf("%s waits %v, and a stop takes up to %v", says.file, given, longestDrain())
		}
	}
}

// systemd does not start a service again whose configuration cannot be used.
func TestTheUnitKnowsTheStatusOfAWrongConfiguration(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../../deploy/systemd/pimsd.service")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^RestartPreventExitStatus=` + strconv.Itoa(statusUsage) + `$`).Match(unit) {
		t.Errorf("the unit is restarted after status %d", statusUsage)
	}
}
