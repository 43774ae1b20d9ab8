// Package coretest reads the memory of a running process for a test, as a core of it would hold it, whatever the kernel does
// with cores (Linux).
//
// It is scaffolding: no production package imports it.
package coretest
