// Package crashtest watches a process from outside, system call by system call, to show what a crash leaves of its files.
//
// Watch sees every call of a process that changes what is on the disk before it happens, in one order for all its threads,
// and lets it pass, makes it fail, or kills the process at it. A Disk remembers such calls, and draws what may be left of
// the files when the power fails. Both work on Linux alone.
//
// The package must never know what it watches: which promises hold after a crash is said by its tests.
package crashtest
