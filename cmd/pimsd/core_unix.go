//go:build unix

package main

import "syscall"

// forbidCores keeps the system from writing a core of this process, which would hold PINs and keys. Where that cannot be had, the
// process goes on: it changes nothing about what it does.
func forbidCores() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
