package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what a process has used of the processors, user and system together: what /proc/PID/stat has in hundredths of
// a second, in nanoseconds. The number of a process's clock is made as clock_getcpuclockid(3) makes it.
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &t); err != nil {
		return 0, fmt.Errorf("read what the process %d has used: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// memory is what a process has resident, and the most that it ever had, in bytes (proc(5), status).
func memory(pid int) (resident, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(text) {
		var kib int64
		if n, _ := fmt.Sscanf(string(line), "VmRSS: %d kB", &kib); n == 1 {
			resident = kib << 10
		}
		if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kib); n == 1 {
			peak = kib << 10
		}
	}
	return resident, peak, nil
}

// syncData makes durable what was written into the file, and leaves out its times.
func syncData(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }

// dieWithParent ends the command when this process ends, however it does.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
