//go:build !linux

// Package memfiles puts the temporary files of tests into memory on Linux.
package memfiles

// Dir returns an empty string: os.MkdirTemp takes its own default.
func Dir() string { return "" }

// Use does nothing.
func Use() {}
