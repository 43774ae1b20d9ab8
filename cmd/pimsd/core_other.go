//go:build !unix

package main

// forbidCores does nothing: this system writes no cores.
func forbidCores() {}
