//go:build !linux

package testkit

// MemoryDir returns an empty string: os.MkdirTemp takes its own default.
func MemoryDir() string { return "" }

// UseMemory does nothing.
func UseMemory() {}
