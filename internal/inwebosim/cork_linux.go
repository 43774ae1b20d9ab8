package inwebosim

import (
	"net"
	"syscall"
)

// cork makes the connection send what is written when it is closed, so that the end of the answer and the end of the
// connection arrive together.
func cork(conn *net.TCPConn) {
	if conn == nil {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1)
	})
}
