// Package crashtest stops a process at any of its system calls and shows which files a crash leaves.
//
// Watch sees every call of a process that changes the disk before it happens, in one order for all its threads, and lets it happen, makes
// it fail, or kills the process at it. A Disk records such calls, and draws what may be left of the files when the power fails. Both work
// on Linux only.
//
// The package must not know what it watches: the promises that hold after a crash are in its tests.
package crashtest
