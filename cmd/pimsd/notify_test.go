package main

import (
	"net"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

type managerKey struct{}

// manager plays the service manager: NOTIFY_SOCKET names its socket.
func playManager(ts *testscript.TestScript, _ bool, _ []string) {
	path := ts.MkAbs("notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	ts.Value(managerKey{}).(*managed).conn = conn
	ts.Setenv("NOTIFY_SOCKET", path)
}

type managed struct{ conn *net.UnixConn }

// told TEXT waits for a message to the service manager with that text.
func waitUntilTold(ts *testscript.TestScript, _ bool, args []string) {
	conn := ts.Value(managerKey{}).(*managed).conn
	ts.Check(conn.SetReadDeadline(time.Now().Add(time.Minute)))
	for message := make([]byte, 4096); ; {
		n, err := conn.Read(message)
		ts.Check(err)
		if strings.Contains(string(message[:n]), args[0]) {
			return
		}
	}
}
