package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// The last requests to inWebo of an OTP and of an enrollment that does not check.
const actionFinalize = "ActionFinalize"

// brokenPipe is the writing end of a pipe that has no reader any more.
func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// running is a started `pimsd serve`.
type running struct {
	cmd   *exec.Cmd
	api   string   // host:port
	ops   string   // host:port
	log   *os.File // the reading end of its standard error
	lines *bufio.Reader
	end   <-chan error

	passed []logLine // lines that were read while another one was wanted
}

// serve starts the service, with its standard error in a pipe, and waits until it serves.
func (h *harness) serve(args ...string) *running {
	h.t.Helper()
	return h.serveAs(h.command(append([]string{"serve"}, args...)...))
}

// serveAs is serve with a command that is not started yet.
func (h *harness) serveAs(cmd *exec.Cmd) *running {
	h.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = r.Close() })
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		h.t.Fatal(err)
	}
	s := &running{cmd: cmd, log: r, lines: bufio.NewReader(r), end: ended(cmd)}
	at := s.line(h.t, "serving")
	s.api, s.ops = at.Listen, at.Ops
	return s
}

type logLine struct{ Message, Listen, Ops, Cause, Advice string }

// line reads the log until it has a line with that message. Lines that it passes over are found by a later call.
func (s *running) line(t *testing.T, message string) (line logLine) {
	t.Helper()
	if i := slices.IndexFunc(s.passed, func(line logLine) bool { return line.Message == message }); i >= 0 {
		return s.passed[i]
	}
	for {
		text, err := s.lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the log ends before %q: %v", message, err)
		}
		line = logLine{}
		if json.Unmarshal(text, &line) == nil && line.Message == message {
			return line
		}
		s.passed = append(s.passed, line)
	}
}

// stop ends the service as an operator does.
func (s *running) stop(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	s.wantEnd(t)
}

// wantEnd waits for the end of the service, which is none by an error.
func (s *running) wantEnd(t *testing.T) {
	t.Helper()
	if err := await(t, "the service ends", s.end); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

func (s *running) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// ask calls for an OTP in the background. It is empty when there was none.
func (h *harness) ask(api string) <-chan string {
	h.t.Helper()
	key := strings.TrimSpace(h.run("", "key", "create", "--account", testAccount))
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+api+"/v1/authentication/otp",
		strings.NewReader(`{"action":"withPIN","pinCode":"`+testPIN+`"}`))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/json"}}
	given := make(chan string, 1)
	go func() {
		defer close(given)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		response, err := transport.RoundTrip(request)
		if err != nil {
			return
		}
		defer response.Body.Close()
		var answer struct{ Result struct{ OTP string } }
		_ = json.NewDecoder(response.Body).Decode(&answer)
		given <- answer.Result.OTP
	}()
	return given
}

// wantOTP wants an OTP that inWebo accepts, and a device that is not in doubt.
func (h *harness) wantOTP(otp string) {
	h.t.Helper()
	if !h.simulator.Verify(strings.TrimSpace(otp)) {
		h.t.Errorf("inWebo does not accept the OTP %q", otp)
	}
	if h.status().InDoubt {
		h.t.Error("the device is in doubt")
	}
}

// Ctrl-C on `pimsd serve 2>&1 | tee log` ends tee at once: the lines of the shutdown meet a pipe without a reader.
func TestServeWhenTheReaderOfItsLogIsGone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	s := h.serve("--log-level", "debug")
	reached, release := h.pause(actionFinalize)
	given := h.ask(s.api)
	await(t, "inWebo has the finalize", reached)
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	s.signal(t, syscall.SIGINT)
	release()
	h.wantOTP(await(t, "the caller is answered", given))
	s.wantEnd(t)
}

func TestServeDrainsAtASecondSignal(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	s := h.serve()
	reached, release := h.pause(actionFinalize)
	given := h.ask(s.api)
	await(t, "inWebo has the finalize", reached)
	s.signal(t, syscall.SIGTERM)
	s.line(t, "stopping")
	s.signal(t, syscall.SIGTERM)
	release()
	h.wantOTP(await(t, "the caller is answered", given))
	s.wantEnd(t)
}

// The service reloads at SIGHUP, at any time, and goes on.
func TestServeOutlivesAHangup(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	s := h.serve()
	s.signal(t, syscall.SIGHUP)
	h.wantOTP(<-h.ask(s.api))
	s.signal(t, syscall.SIGHUP)
	s.signal(t, syscall.SIGTERM)
	s.wantEnd(t)
}

// onTerminal makes a terminal the controlling one of a command: what closes the terminal hangs up on the command.
func onTerminal(t *testing.T, cmd *exec.Cmd) (person *os.File) {
	t.Helper()
	person, terminal := terminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	return person
}

func TestOTPWhenTheTerminalHangsUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	before := h.status().Step
	reached, release := h.pause(actionFinalize)
	cmd := h.command("otp", "--account", testAccount)
	person := onTerminal(t, cmd)
	typeHidden(t, person, testPIN)
	await(t, "inWebo has the finalize", reached)
	if err := person.Close(); err != nil {
		t.Fatal(err)
	}
	end := ended(cmd)
	release()
	_ = await(t, "the command ends", end)
	if !cmd.ProcessState.Exited() || cmd.ProcessState.ExitCode() != statusFailed {
		t.Errorf("the command ended with %v", cmd.ProcessState)
	}
	if now := h.status(); now.Step != before+1 || now.InDoubt {
		t.Errorf("the device is at step %d, in doubt %v; want %d", now.Step, now.InDoubt, before+1)
	}
}

func TestEnrollWhenTheTerminalHangsUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	reached, release := h.pause(actionFinalize)
	cmd := h.command("enroll", "--account", testAccount)
	person := onTerminal(t, cmd)
	typeHidden(t, person, inwebosim.DefaultCode)
	typeHidden(t, person, testPIN)
	await(t, "inWebo has a finalize", reached)
	if err := person.Close(); err != nil {
		t.Fatal(err)
	}
	end := ended(cmd)
	release()
	_ = await(t, "the command ends", end)
	if !cmd.ProcessState.Exited() || cmd.ProcessState.ExitCode() != statusFailed {
		t.Errorf("the command ended with %v", cmd.ProcessState)
	}
	if now := h.status(); !now.Activated || now.InDoubt || now.Enrollment != "" {
		t.Errorf("the store has %+v, want an enrolled device", now)
	}
}

// A command whose output cannot be read any more ends its conversation, fails, and says where the state is.
func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, tc := range []struct {
		args        []string
		stdin, says string
	}{
		{[]string{"enroll", "--account", testAccount}, inwebosim.DefaultCode + "\n" + testPIN + "\n", "is enrolled and stored"},
		{[]string{"otp", "--account", testAccount}, testPIN + "\n", "was made and is lost"},
		{[]string{"account", "list"}, "", "broken pipe"},
		{[]string{"version"}, "", "broken pipe"},
		{[]string{"config"}, "", "broken pipe"},
	} {
		cmd := h.command(tc.args...)
		var said bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(tc.stdin), brokenPipe(t), &said
		_ = cmd.Run()
		if cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(said.String(), tc.says) {
			t.Errorf("pimsd %s: %v, and it says %q; want %q", tc.args[0], cmd.ProcessState, said.String(), tc.says)
		}
	}
	if now := h.status(); !now.Activated || now.InDoubt || now.Step == 0 {
		t.Errorf("the store has %+v, want an enrolled device whose step moved", now)
	}
}

// The messages for people cannot be read either: the command ends its conversation all the same.
func TestEnrollWhenBothOutputsAreClosed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	cmd := h.command("enroll", "--account", testAccount)
	cmd.Stdin = strings.NewReader(inwebosim.DefaultCode + "\n" + testPIN + "\n")
	cmd.Stdout, cmd.Stderr = brokenPipe(t), brokenPipe(t)
	_ = cmd.Run()
	if cmd.ProcessState.ExitCode() != statusFailed {
		t.Errorf("the command ended with %v", cmd.ProcessState)
	}
	if now := h.status(); !now.Activated || now.InDoubt {
		t.Errorf("the store has %+v, want an enrolled device", now)
	}
}

// A user who interrupts a command in its conversation is told that it waits, and gets the OTP. A second signal changes nothing.
func TestAnInterruptedConversationSaysThatItWaits(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		reached, release := h.pause(actionFinalize)
		cmd := h.command("otp", "--account", testAccount)
		var out bytes.Buffer
		cmd.Stdin, cmd.Stdout = strings.NewReader(testPIN+"\n"), &out
		said, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		await(t, "inWebo has the finalize", reached)
		lines := bufio.NewReader(said)
		for range 2 {
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "waits") {
				t.Errorf("%v: the command says %q, %v", sig, line, err)
			}
		}
		release()
		_, _ = io.Copy(io.Discard, lines)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: the command ended with %v", sig, err)
		}
		h.wantOTP(out.String())
	}
}

// The reader of the log stalls, and the pipe to it is full: the service ends all the same.
func TestServeEndsThoughTheReaderOfItsLogStalls(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	s := h.serve("--log-level", "debug")
	if _, err := unix.FcntlInt(s.log.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 100 { // a line each, of which a dozen fit
		response, err := client.Get("http://" + s.api + "/v1/authentication/account")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	reached, release := h.pause(actionFinalize)
	given := h.ask(s.api)
	await(t, "inWebo has the finalize", reached)
	s.signal(t, syscall.SIGTERM)
	release()
	h.wantOTP(await(t, "the caller is answered", given))
	s.wantEnd(t)
}

// Messages of an enrollment, which are not read, do not hold up its conversation.
func TestEnrollWhenTheTerminalStalls(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte{'.'}, size)); err != nil {
		t.Fatal(err)
	}
	cmd := h.command("enroll", "--account", testAccount)
	cmd.Stdin, cmd.Stderr = strings.NewReader(inwebosim.DefaultCode+"\n"+testPIN+"\n"), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, "the command ends", ended(cmd)); err != nil {
		t.Errorf("the command ended with %v", err)
	}
	if now := h.status(); !now.Activated || now.InDoubt || now.Step == 0 {
		t.Errorf("the store has %+v, want an enrolled device that was checked", now)
	}
}
