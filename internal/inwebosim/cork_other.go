//go:build !linux

package inwebosim

import "net"

// cork does nothing here: the end of the connection follows the answer after a moment.
func cork(*net.TCPConn) {}
