package inwebo

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// isQuiet reports whether a read of the connection would have to wait: neither data nor an end has arrived.
func isQuiet(c syscall.RawConn) bool {
	quiet := false
	err := c.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		quiet = err == nil && n == 0
	})
	return err == nil && quiet
}
