package main

import (
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// limited is command in a process that may have so many files open.
func (h *harness) limited(openFiles int, args ...string) *exec.Cmd {
	shell := []string{"-c", `ulimit -n "$1" && shift && exec pimsd "$@"`, "sh", strconv.Itoa(openFiles)}
	cmd := exec.CommandContext(h.t.Context(), "sh", append(shell, args...)...)
	cmd.Env = h.environ
	return cmd
}

// openIdleConnections opens so many connections that send nothing, or the beginning of a header.
func openIdleConnections(t *testing.T, address string, n int) {
	t.Helper()
	for i := range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if i%2 == 0 {
			_, _ = io.WriteString(conn, "POST /v1/authentication/otp HTTP/1.1\r\n")
		}
	}
}

// Hundreds of strangers who connect and send nothing do not stop the service, nor keep its operators out.
func TestServeAmongIdleStrangers(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	s := h.serveAs(h.limited(300, "serve"))
	openIdleConnections(t, s.api, 400)
	openIdleConnections(t, s.ops, 400)
	h.wantOTP(await(t, "the caller is answered", h.ask(s.api)))
	response, err := http.Get("http://" + s.ops + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: HTTP %d", response.StatusCode)
	}
	s.line(t, "the listener has all the connections that it may have: those without a request are closed for new ones")
	s.stop(t)
}

func TestServeWithTooFewFiles(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	cmd := h.limited(100, "serve")
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(string(said), "raise the limit with `ulimit -n`") {
		t.Errorf("%v: %s", err, said)
	}
}
