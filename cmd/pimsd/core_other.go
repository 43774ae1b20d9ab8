//go:build !unix

package main

// crashBySignal does nothing: this system has no such signal.
func crashBySignal() {}

// forbidCores does nothing: this system writes no cores.
func forbidCores() {}

// returnPages does nothing: this system is not told.
func returnPages([]byte) {}
