// Package sdnotify tells a service manager how the service stands, as sd_notify(3) describes: over the socket that systemd
// names in the environment of a unit of Type=notify.
//
// It must never read the process's environment itself, and never fail the service: the caller decides what a message that
// was not taken is worth.
package sdnotify

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Socket is where the messages go. Nil represents a service without a service manager: it takes every message, and does nothing.
type Socket struct {
	address  string
	watchdog time.Duration
}

// FromEnviron finds the socket and the watchdog that systemd has put into the environment of the process with that id; nil
// when it has not.
func FromEnviron(environ []string, pid int) *Socket {
	address := lookup(environ, "NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	s := &Socket{address: address}
	if of := lookup(environ, "WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return s
	}
	if µs, err := strconv.ParseInt(lookup(environ, "WATCHDOG_USEC"), 10, 64); err == nil && µs > 0 {
		s.watchdog = time.Duration(µs) * time.Microsecond
	}
	return s
}

func lookup(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// Interval is how often Alive must be called: half of what systemd waits before it ends the service; 0 when it does not wait.
func (s *Socket) Interval() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog / 2
}

// Ready says that the service serves, and how it stands, for people.
func (s *Socket) Ready(status string) error { return s.send("READY=1", "STATUS="+oneLine(status)) }

// Stopping says that the service is on its way to its end.
func (s *Socket) Stopping(status string) error {
	return s.send("STOPPING=1", "STATUS="+oneLine(status))
}

// Alive says that the service works.
func (s *Socket) Alive() error { return s.send("WATCHDOG=1") }

// patience bounds the sending of one message.
const patience = time.Second

func (s *Socket) send(lines ...string) (err error) {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", s.address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	return err
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }
