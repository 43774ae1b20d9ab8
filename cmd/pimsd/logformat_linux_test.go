package main

import (
	"bufio"
	"os"
	"regexp"
	"syscall"
	"testing"
)

// A person reads the log of a service as text; every other reader gets JSON, as the tests that read it do.
func TestLogOnATerminalIsText(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	person, command := terminal(t)
	service := h.command("serve")
	service.Stderr = command
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	end := ended(service)
	serving := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info serving \{"version": .*\}\r\n$`)
	lines := make(chan bool, 1)
	go func() { lines <- hasLine(person, serving) }()
	if !await(t, "the service's line", lines) {
		t.Error("the log has no line that says as text that the service serves")
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := await(t, "the end of the service", end); err != nil {
		t.Error(err)
	}
}

// hasLine reads until a line matches; it reports false where the file ends before.
func hasLine(file *os.File, wanted *regexp.Regexp) bool {
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadString('\n')
		if err != nil || wanted.MatchString(line) {
			return err == nil
		}
	}
}
