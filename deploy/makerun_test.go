package deploy_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A terminal sends Ctrl-C to make and to what it runs; neither prints an error. Make itself ends by the signal, as every make does.
func TestMakeRunEndsWithCtrlC(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "..", "run", "FLAGS=--free-ports")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	piece := make([]byte, 4096)
	for !strings.Contains(said.String(), "Ctrl-C ends it.") {
		n, err := out.Read(piece)
		said.Write(piece[:n])
		if err != nil {
			t.Fatalf("it ends: %v\n%s%s", err, said.String(), complaints.String())
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	err = cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if interrupted := status.Signaled() && status.Signal() == syscall.SIGINT; err != nil && !interrupted || strings.Contains(complaints.String(), "***") {
		t.Errorf("it ends with %v:\n%s%s", err, rest, complaints.String())
	}
}
