package telemetry

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

// ServiceManager receives the state of the service, as sd_notify(3) describes: over the socket that systemd names in the environment
// of a unit of Type=notify. A nil ServiceManager does nothing with its messages: there is none. The caller decides what a message
// that was not accepted is worth.
type ServiceManager struct {
	address  string
	watchdog time.Duration
}

// ServiceManagerOf returns the service manager that systemd has named in the environment of the process with that id; nil when it
// has named none.
func ServiceManagerOf(environ []string, pid int) *ServiceManager {
	address, _ := input.LookupEnv(environ, "NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	s := &ServiceManager{address: address}
	if of, _ := input.LookupEnv(environ, "WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return s
	}
	every, _ := input.LookupEnv(environ, "WATCHDOG_USEC")
	if µs, err := strconv.ParseInt(every, 10, 64); err == nil && µs > 0 {
		s.watchdog = time.Duration(µs) * time.Microsecond
	}
	return s
}

// Interval is how often Alive must be called: half of what systemd waits before it ends the service; 0 when it does not wait.
func (s *ServiceManager) Interval() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog / 2
}

// Ready says that the service serves, and how it stands, for people.
func (s *ServiceManager) Ready(status string) error {
	return s.send("READY=1", "STATUS="+oneLine(status))
}

// Stopping says that the service is on its way to its end.
func (s *ServiceManager) Stopping(status string) error {
	return s.send("STOPPING=1", "STATUS="+oneLine(status))
}

// Alive says that the service works.
func (s *ServiceManager) Alive() error { return s.send("WATCHDOG=1") }

// notifyTimeout bounds the sending of one message.
const notifyTimeout = time.Second

func (s *ServiceManager) send(lines ...string) (err error) {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
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
