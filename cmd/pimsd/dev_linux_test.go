package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// In an environment that has the listeners on all interfaces, as that of the image, `pimsd dev` stays on loopback. The command that it
// prints uses its store, in which the demo key has all scopes.
func TestDevListensOnLoopback(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.environ = append(h.environ, "PIMSD_LISTEN=:0", "PIMSD_OPS_LISTEN=0.0.0.0:0")
	cmd := h.command("dev", "--free-ports")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	for _, want := range []string{`curl -s http://127\.0\.0\.1:\d+/v1/`, `Operators' listener: http://127\.0\.0\.1:\d+/metrics`, `The key of account "demo": pims_`} {
		if !regexp.MustCompile(want).MatchString(said.String()) {
			t.Errorf("it does not say %s:\n%s", want, said.String())
		}
	}
	printed := regexp.MustCompile(`(?m)^  (PIMSD_DATA_DIR=.*) pimsd account list$`).FindStringSubmatch(said.String())
	if printed == nil {
		t.Errorf("it prints no command that uses its store:\n%s", said.String())
	} else {
		for command, want := range map[string]string{"account list": `demo +idle`, "key list": `account demo +otp enroll unlock`} {
			out, err := exec.CommandContext(t.Context(), "sh", "-c", printed[1]+" pimsd "+command).CombinedOutput()
			if err != nil || !regexp.MustCompile(want).Match(out) {
				t.Errorf("%s: %v, %s", command, err, out)
			}
		}
	}
	end := ended(cmd)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := await(t, "the command ends", end); err != nil {
		t.Error(err)
	}
}

func TestWhatDevTakesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	got := devEnviron([]string{
		"HOME=/", "PIMSD_CONFIG=/etc/pimsd.yaml", "PIMSD_DATA_DIR=/d", "PIMSD_DATABASE_URL_FILE=/u", "PIMSD_SEAL_KEYS=k", "PIMSD_INWEBO_MACID=x",
		"PIMSD_LISTEN=192.0.2.1:80", "PIMSD_OPS_LISTEN=[::1]:1", "PIMSD_LOG_LEVEL=debug", "PIMSD_LISTE=:1",
	})
	want := []string{"HOME=/", "PIMSD_LISTEN=127.0.0.1:80", "PIMSD_OPS_LISTEN=[::1]:1", "PIMSD_LOG_LEVEL=debug", "PIMSD_LISTE=:1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := onLoopback("nonsense"); got != "nonsense" {
		t.Errorf("nonsense becomes %q", got)
	}
}

// In the image there is no folder for temporary files and no home: the data directory is the one place that can be written to.
func TestDevWhereOnlyTheDataDirectoryIsWritable(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	installed := t.TempDir()
	cmd := h.command("dev", "--once")
	cmd.Env = []string{"PIMSD_DATA_DIR=" + installed, "TMPDIR=" + filepath.Join(installed, "missing")}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "verified by the simulator") {
		t.Errorf("%v, %s", err, out)
	}
	if left, err := os.ReadDir(installed); err != nil || len(left) > 0 {
		t.Errorf("left in the data directory: %v, %v", left, err)
	}
}
