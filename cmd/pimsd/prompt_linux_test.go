package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
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

// typeHidden waits until the terminal does not echo any more, and then types a line.
func typeHidden(t *testing.T, person *os.File, line string) {
	t.Helper()
	for looks := 0; ; looks++ {
		state, err := unix.IoctlGetTermios(int(person.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			break
		}
		if looks == 1000 {
			t.Fatal("the terminal goes on echoing")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := person.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// On a terminal the PIN, and the SMS code, are asked for by name and typed without an echo.
func TestSecretsAreTypedWithoutAnEcho(t *testing.T) {
	t.Parallel()
	simulator, err := inwebosim.New(inwebosim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	simulator.Start()
	t.Cleanup(func() { _ = simulator.Stop(context.Background()) })
	environ := append(os.Environ(), "PIMSD_INWEBO_URL="+simulator.ProtocolURL(), "PIMSD_DATA_DIR="+t.TempDir()+"/data")
	dev := exec.CommandContext(t.Context(), "pimsd", "dev", "--once") // makes the store
	dev.Env = environ
	if out, err := dev.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

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
	echoed, _ := io.ReadAll(person) // ends with an error when nobody has the other end
	for _, hidden := range []string{"80517263", inwebosim.DefaultCode} {
		if strings.Contains(string(echoed)+said.String(), hidden) {
			t.Errorf("it is echoed: %q", echoed)
		}
	}
	if text := said.String(); !strings.Contains(text, "SMS code: \nPIN: \n") || !strings.Contains(text, "is enrolled and stored") {
		t.Errorf("it says %q", text)
	}
}
