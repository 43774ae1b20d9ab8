package main

import (
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// crashBySignal makes a crash, such as a panic or the SIGABRT of a watchdog, end the process with SIGABRT instead of the exit
// status 2. That one means a wrong configuration, after which systemd does not restart the service. The stacks of all goroutines
// are printed as before.
func crashBySignal() { debug.SetTraceback("crash") }

// forbidCores keeps the system from writing a core of this process, which would hold PINs and keys. The limit 0 is for files only,
// and Linux does not apply it to a program that collects cores; the limit of one byte keeps the core from both. Where that limit
// cannot be set, because a lower one is in force already, programs that collect cores are expected to respect that one.
func forbidCores() {
	if syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 1, Max: 1}) != nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	}
}

// returnPages returns the memory behind b, which is all zeros and stays so, to the system.
func returnPages(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) } // without it, b takes memory and does no other harm
