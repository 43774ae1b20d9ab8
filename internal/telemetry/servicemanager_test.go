package telemetry_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/telemetry"
)

func listen(t *testing.T) (address string, next func() string) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return address, func() string {
		message := make([]byte, 1024)
		n, err := conn.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	address, next := listen(t)
	s := telemetry.ServiceManagerOf([]string{"A=b", "NOTIFY_SOCKET=/nowhere", "NOTIFY_SOCKET=" + address}, 7)
	for _, tc := range []struct {
		send func() error
		want string
	}{
		{func() error { return s.Ready("serving\nfine") }, "READY=1\nSTATUS=serving fine"},
		{s.Alive, "WATCHDOG=1"},
		{func() error { return s.Stopping("settling") }, "STOPPING=1\nSTATUS=settling"},
	} {
		if err := tc.send(); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != tc.want {
			t.Errorf("sent %q, want %q", got, tc.want)
		}
	}
	if err := telemetry.ServiceManagerOf([]string{"NOTIFY_SOCKET=/nowhere"}, 7).Alive(); err == nil {
		t.Error("a socket that is not there takes messages")
	}
}

func TestWhoIsNotAskedSaysNothing(t *testing.T) {
	t.Parallel()
	s := telemetry.ServiceManagerOf([]string{"WATCHDOG_USEC=1000000"}, 7)
	if s != nil || s.Ready("") != nil || s.Alive() != nil || s.Stopping("") != nil || s.Interval() != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTheWatchdogIsThisProcesss(t *testing.T) {
	t.Parallel()
	for want, environ := range map[time.Duration][]string{
		0:                       {"WATCHDOG_USEC=x"},
		5 * time.Second:         {"WATCHDOG_USEC=10000000"},
		500 * time.Millisecond:  {"WATCHDOG_USEC=1000000", "WATCHDOG_PID=7"},
		-1 * time.Second:        {"WATCHDOG_USEC=1000000", "WATCHDOG_PID=8"},
		-2 * time.Second:        {"WATCHDOG_USEC=-5"},
		1500 * time.Millisecond: {"WATCHDOG_USEC=1", "WATCHDOG_USEC=3000000"},
	} {
		if got := telemetry.ServiceManagerOf(append(environ, "NOTIFY_SOCKET=/x"), 7).Interval(); got != max(want, 0) {
			t.Errorf("%v: every %v, want %v", environ, got, max(want, 0))
		}
	}
}
