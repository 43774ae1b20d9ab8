//go:build !unix

package inwebo

import "syscall"

// isQuiet reports true: this system is not asked.
func isQuiet(syscall.RawConn) bool { return true }
