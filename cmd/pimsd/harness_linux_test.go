package main

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// harness is an inWebo simulator and an empty store, and runs commands of the real binary on both.
type harness struct {
	t         *testing.T
	simulator *inwebosim.Simulator
	environ   []string
}

const (
	testAccount = "alice"
	testPIN     = "80517263"
	// testTimeout is longer than anything takes that works.
	testTimeout = time.Minute
)

func newHarness(t *testing.T) *harness {
	t.Helper()
	simulator, err := inwebosim.New(inwebosim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	simulator.Start()
	t.Cleanup(func() { _ = simulator.Stop(context.Background()) })
	c := config.Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	if c.Inwebo.URL, err = url.Parse(simulator.ProtocolURL()); err != nil {
		t.Fatal(err)
	}
	core, err := app.OpenCore(t.Context(), c, true, app.Observers{})
	if err == nil {
		err = core.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	environ := append(os.Environ(), "PIMSD_INWEBO_URL="+simulator.ProtocolURL(), "PIMSD_DATA_DIR="+c.DataDir,
		"PIMSD_LISTEN=127.0.0.1:0", "PIMSD_OPS_LISTEN=127.0.0.1:0")
	return &harness{t: t, simulator: simulator, environ: environ}
}

// command is a call of pimsd that is not started yet. It is killed if it still runs when the test ends.
func (h *harness) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(h.t.Context(), "pimsd", args...)
	cmd.Env = h.environ
	return cmd
}

// run runs a command that must succeed, with lines of standard input, and returns its standard output.
func (h *harness) run(stdin string, args ...string) string {
	h.t.Helper()
	cmd := h.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("pimsd %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// enroll makes the device of the test account.
func (h *harness) enroll() {
	h.t.Helper()
	h.run(inwebosim.DefaultCode+"\n"+testPIN+"\n", "enroll", "--account", testAccount, "--no-check")
}

// status is what the store has of the test account.
func (h *harness) status() (status otp.Status) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.run("", "account", "show", "--account", testAccount, "--json")), &status); err != nil {
		h.t.Fatal(err)
	}
	return status
}

// pause stops the next request of that action at inWebo after it was processed and before it is answered: reached is closed
// then, and release lets the answer go.
func (h *harness) pause(action string) (reached <-chan struct{}, release func()) { //nolint:unparam // names what is paused
	h.t.Helper()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var stopped atomic.Bool
	h.simulator.SetHooks(inwebosim.Hooks{After: func(x inwebosim.Exchange) {
		if x.Action == action && stopped.CompareAndSwap(false, true) {
			close(arrived)
			<-goOn
		}
	}})
	release = sync.OnceFunc(func() { close(goOn) })
	h.t.Cleanup(release)
	return arrived, release
}

// await waits for an event.
func await[T any](t *testing.T, what string, event <-chan T) T {
	t.Helper()
	select {
	case value := <-event:
		return value
	case <-time.After(testTimeout):
		t.Fatalf("not within %v: %s", testTimeout, what)
		panic("unreachable")
	}
}

// ended is the end of a command that was started.
func ended(cmd *exec.Cmd) <-chan error {
	end := make(chan error, 1)
	go func() { end <- cmd.Wait() }()
	return end
}

// withStore returns the environment of a command that finds a simulator and an empty store.
func withStore(t *testing.T) (environ []string) {
	t.Helper()
	return newHarness(t).environ
}
