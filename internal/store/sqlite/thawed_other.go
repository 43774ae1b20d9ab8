//go:build !linux

package sqlite

// waitForThaw is for Linux alone, whose file systems can be frozen.
func waitForThaw() struct{} { return struct{}{} }
