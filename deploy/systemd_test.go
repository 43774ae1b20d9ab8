package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

const unit = "systemd/pimsd.service"

// systemd's own judge of exposure: 0 is best, 10 worst.
func TestTheUnitIsLockedIn(t *testing.T) {
	t.Parallel()
	const most = 2.0
	out := output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", unit)
	found := regexp.MustCompile(`exposure level for pimsd\.service: ([0-9.]+)`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("systemd-analyze says:\n%s", out)
	}
	if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > most {
		t.Errorf("the exposure is %s, want %v at most:\n%s", found[1], most, out)
	}
}

func TestTheUnitIsUnderstood(t *testing.T) {
	t.Parallel()
	there := filepath.Join(t.TempDir(), "pimsd.service")
	text := strings.ReplaceAll(read(t, unit), "/usr/bin/pimsd", pimsd) // which is where the package puts it
	if err := os.WriteFile(there, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, all, err := try(t, "systemd-analyze", "verify", "--man=no", there); err != nil || strings.TrimSpace(all) != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, all)
	}
}

// What is killed before it has settled may be in doubt.
func TestTheUnitWaitsForConversations(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(read(t, unit))
	if found == nil {
		t.Fatal("the unit has no TimeoutStopSec in seconds")
	}
	seconds, _ := strconv.Atoi(found[1]) // they are digits
	if given := time.Duration(seconds) * time.Second; given < 2*longestStop(config.Default()) {
		t.Errorf("systemd waits %v; a stop takes up to %v, and more with other settings", given, longestStop(config.Default()))
	}
}

// A command beside the service has its environment, and so its store, whatever the shell has. Only the namespaces, for which
// one has to be root, are left out.
func TestACommandBesideTheServiceSeesWhatItSees(t *testing.T) {
	t.Parallel()
	home, stubs := t.TempDir(), t.TempDir()
	serve := exec.CommandContext(t.Context(), pimsd, "serve")
	serve.Env = []string{"PIMSD_DATA_DIR=" + home, "PIMSD_LISTEN=" + free(t), "PIMSD_OPS_LISTEN=" + free(t), "PIMSD_INWEBO_URL=http://127.0.0.1:1"}
	serve.Cancel = func() error { return serve.Process.Signal(os.Interrupt) }
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Wait() }) // it ends because it was told to
	for name, does := range map[string]string{
		"systemctl": "echo " + strconv.Itoa(serve.Process.Pid),
		"nsenter":   `while [ "$1" != -- ]; do shift; done; shift 2; exec ` + pimsd + ` "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(stubs, name), []byte("#!/bin/sh\n"+does+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	told := output(t, "bash", "-euc", "PATH="+stubs+":$PATH\n"+
		strings.Join(serve.Env, " ")+" "+pimsd+" health --wait 60s\n"+
		"export PIMSD_DATA_DIR="+t.TempDir()+"\n"+ // of the shell alone
		"systemd/pimsd-beside config; systemd/pimsd-beside account list")
	if !regexp.MustCompile(`data_dir +`+home+` `).MatchString(told) || !strings.Contains(told, "ACCOUNT") {
		t.Errorf("it sees:\n%s", told)
	}
}

// longestStop returns how long a service with these settings may take to stop, as docs/operations.md says.
func longestStop(c *config.Config) time.Duration {
	const closing = 4 * time.Second // listeners, the last lines of the log, traces
	return c.Stop.DrainDelay + otp.EnrollmentDeadlines*c.Conversation.Deadline + c.Stop.SettleAllowance + closing
}
