package main

import (
	"bufio"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// In an environment that has the listeners on all interfaces, as that of the image, `pimsd dev` stays on loopback.
func TestDevListensOnLoopback(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.environ = append(h.environ, "PIMSD_LISTEN=:0", "PIMSD_OPS_LISTEN=0.0.0.0:0")
	cmd := h.command("dev", "--simulator-listen", anyPort, "--simulator-control", anyPort)
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
