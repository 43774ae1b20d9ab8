package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// No core of pimsd is written, whatever the shell allows.
func TestNoCoreIsWritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.serve()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("the limits are\n%s", limits)
	}
	s.stop(t)
}
