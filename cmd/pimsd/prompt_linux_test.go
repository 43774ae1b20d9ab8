package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// terminal opens a pseudoterminal: what a person has before them, and what the command has for its standard input.
func terminal(t *testing.T) (person, command *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Close() })
	return person, command
}

// A database is not written to a terminal.
func TestBackupRefusesATerminal(t *testing.T) {
	t.Parallel()
	_, shown := terminal(t)
	var said bytes.Buffer
	status := run(t.Context(), []string{"store", "backup", "-", "--data-dir", t.TempDir()}, process{stdout: shown, stderr: &said})
	if status != statusUsage || !strings.Contains(said.String(), "standard output is a terminal") {
		t.Errorf("status %d: %s", status, said.String())
	}
}

// waitUntilHidden waits until the terminal does not echo any more.
func waitUntilHidden(t *testing.T, person *os.File) {
	t.Helper()
	for looks := 0; echoes(t, person); looks++ {
		if looks == 1000 {
			t.Fatal("the terminal goes on echoing")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// typeHidden waits until the terminal does not echo any more, and then types a line.
func typeHidden(t *testing.T, person *os.File, line string) {
	t.Helper()
	waitUntilHidden(t, person)
	if _, err := person.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// On a terminal the PIN, and the SMS code, are asked for by name and typed without an echo.
func TestSecretsAreTypedWithoutAnEcho(t *testing.T) {
	t.Parallel()
	environ := withStore(t)
	person, command := terminal(t)
	var said bytes.Buffer
	enroll := exec.CommandContext(t.Context(), "pimsd", "enroll", "--account", "alice")
	enroll.Env, enroll.Stdin, enroll.Stdout, enroll.Stderr = environ, command, &said, &said
	if err := enroll.Start(); err != nil {
		t.Fatal(err)
	}
	typeHidden(t, person, inwebosim.DefaultCode)
	typeHidden(t, person, "80517263")
	if err := enroll.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if err := command.Close(); err != nil {
		t.Fatal(err)
	}
	echoed, _ := io.ReadAll(person) // ends with an error when the other end is closed
	for _, hidden := range []string{"80517263", inwebosim.DefaultCode} {
		if strings.Contains(string(echoed)+said.String(), hidden) {
			t.Errorf("it is echoed: %q", echoed)
		}
	}
	if text := said.String(); !strings.Contains(text, "SMS code: \nPIN: \n") || !strings.Contains(text, "is enrolled and stored") {
		t.Errorf("it says %q", text)
	}
}

// Who thinks better of it while the PIN is asked for ends the command with one signal, and gets the echo back.
func TestAPromptCanBeInterrupted(t *testing.T) {
	t.Parallel()
	environ := withStore(t)
	for _, args := range [][]string{{"enroll", "--account", "alice"}, {"otp", "--account", "alice"}} {
		person, command := terminal(t)
		var said bytes.Buffer
		asking := exec.CommandContext(t.Context(), "pimsd", args...)
		asking.Env, asking.Stdin, asking.Stdout, asking.Stderr = environ, command, &said, &said
		if err := asking.Start(); err != nil {
			t.Fatal(err)
		}
		waitUntilHidden(t, person)
		if err := asking.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := asking.Wait(); asking.ProcessState.ExitCode() != statusFailed || !strings.Contains(said.String(), "interrupted") {
			t.Errorf("%s: %v: %q", args[0], err, said.String())
		}
		if !echoes(t, person) {
			t.Errorf("%s leaves the terminal without an echo", args[0])
		}
	}
}

// startOnTerminal starts the command with a terminal for its standard input.
func startOnTerminal(t *testing.T, environ []string, args ...string) (person *os.File, cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	person, command := terminal(t)
	said = &bytes.Buffer{}
	cmd = exec.CommandContext(t.Context(), "pimsd", args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, command, said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return person, cmd, said
}

// endOfInput is what Ctrl-D types.
const endOfInput = "\x04"

func TestEndOfInputEndsPrompt(t *testing.T) {
	t.Parallel()
	environ := withStore(t)
	device, err := filepath.Abs("../../internal/devicefile/testdata/devices/psa_car_controller-otp.bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"enroll", "--account", "alice"},
		{"otp", "--account", "alice"},
		{"import", "--account", "alice", device},
	} {
		person, cmd, said := startOnTerminal(t, environ, args...)
		waitUntilHidden(t, person)
		if _, err := person.WriteString(endOfInput); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(said.String(), "it was ended (Ctrl-D)") {
			t.Errorf("%s: %v: %q", args[0], err, said.String())
		}
		if !echoes(t, person) {
			t.Errorf("%s leaves the terminal without an echo", args[0])
		}
	}
}

func TestEndOfInputConfirmsNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.enroll()
	person, cmd, said := startOnTerminal(t, h.environ, "account", "forget", "--account", testAccount)
	if _, err := person.WriteString(endOfInput); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != statusFailed || !strings.Contains(said.String(), "nothing was changed") {
		t.Errorf("%v: %q", err, said.String())
	}
}

// noise is a line that does not end within 300 MB. It counts what was read of it.
type noise struct{ read int }

func (n *noise) Read(p []byte) (int, error) {
	if n.read > 300<<20 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = '1'
	}
	n.read += len(p)
	return len(p), nil
}

func TestLongLineIsRefusedAtItsBound(t *testing.T) {
	t.Parallel()
	environ := withStore(t)
	line := &noise{}
	cmd := exec.CommandContext(t.Context(), "pimsd", "otp", "--account", testAccount)
	cmd.Env, cmd.Stdin = environ, line
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != statusUsage || !strings.Contains(string(out), "more than 1024 bytes") {
		t.Errorf("%v: %s", err, out)
	}
	if line.read > 1<<20 { // what a pipe takes before its reader is gone
		t.Errorf("%d bytes were read", line.read)
	}
}
