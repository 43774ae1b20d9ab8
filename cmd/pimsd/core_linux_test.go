package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"syscall"
	"testing"
)

// No core of pimsd is written, whatever the shell allows: neither to a file nor to a program that collects cores.
func TestNoCoreIsWritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.serve()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +(1 +1|0 +0) `).Match(limits) {
		t.Errorf("the limits are\n%s", limits)
	}
	s.stop(t)
}

// A supervisor restarts a service that crashed, and one that its watchdog aborts, but not one with a wrong configuration: a
// crash must not end with the exit status of that.
func TestCrashHasNoExitStatusOfWrongUsage(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.serve()
	go func() { _, _ = io.Copy(io.Discard, s.lines) }() // the stacks of the goroutines
	if err := s.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	_ = await(t, "the service ends", s.end)
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT || status.CoreDump() {
		t.Errorf("the service ended with %v", s.cmd.ProcessState)
	}
}
