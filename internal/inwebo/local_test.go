package inwebo_test

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// The look-up of the name ends with the exchange, however long the name servers take.
func TestTheLookUpIsBounded(t *testing.T) {
	usual := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = usual })
	asked := make(chan struct{}, 100)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	for name, change := range map[string]func(*inwebo.Config){
		"by the exchange": func(c *inwebo.Config) { c.ExchangeTimeout = soon },
		"by connecting":   func(c *inwebo.Config) { c.DialTimeout = soon },
	} {
		config := target(t, "https://c4n4ry.example")
		change(&config)
		err := otpFinalize.make(t, newClient(t, config))
		if !isFault(err, inwebo.ErrNeverSent, inwebo.ErrLate) {
			t.Errorf("%s: %v; want never sent in time", name, err)
		}
		if len(asked) == 0 {
			t.Errorf("%s: no name server was asked", name)
		}
	}
}

// A process without file descriptors says that of itself, and not of inWebo.
func TestNoFileDescriptors(t *testing.T) {
	base := serveRaw(t, func(_ int, conn *rawConn) { conn.wait() })
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, target(t, base))
	// No descriptor is below 0, not even one that an earlier test gives back now.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	err := otpFinalize.make(t, c)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	assertFault(t, err, otpFinalize.exchange, inwebo.ErrNeverSent, inwebo.ErrLocal, "too many open files")
}
