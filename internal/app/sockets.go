package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/pimsd/pimsd/internal/config"
)

// sockets are the bound addresses of the listeners; admin is nil where administration has none. They are bound before anything
// else is opened or made: a service that has no address must not leave a store behind.
type sockets struct{ api, ops, admin *net.TCPListener }

func bindSockets(ctx context.Context, c *config.Config) (s sockets, err error) {
	if s.ops, err = bind(ctx, "ops.listen", c.Ops.Listen); err != nil {
		return sockets{}, err
	}
	if s.api, err = bind(ctx, "listen", c.Listen); err != nil {
		return sockets{}, errors.Join(err, s.ops.Close())
	}
	if c.Admin.Listen == "" {
		return s, nil
	}
	if s.admin, err = bind(ctx, "admin.listen", c.Admin.Listen); err != nil {
		return sockets{}, errors.Join(err, s.close())
	}
	return s, nil
}

// bind binds the address of a setting. Its error names the setting and its flag.
func bind(ctx context.Context, setting, address string) (*net.TCPListener, error) {
	bound, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	tcp, _ := bound.(*net.TCPListener) // as every listener of that network is
	switch {
	case err == nil:
		return tcp, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, addressInUseError{setting, address}
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: this user may not listen on %s: choose a port from 1024 on with --%s",
			setting, address, strings.ReplaceAll(setting, ".", "-"))
	}
	return nil, fmt.Errorf("%s: %w", setting, err)
}

// addressInUseError means that a program listens at the address of a setting.
type addressInUseError struct{ setting, address string }

// Error names the setting and its flag.
func (e addressInUseError) Error() string {
	return fmt.Sprintf("%s: %s is in use, perhaps by another pimsd: stop that program, or choose another address with --%s",
		e.setting, e.address, strings.ReplaceAll(e.setting, ".", "-"))
}

// Unwrap returns the error of the operating system.
func (addressInUseError) Unwrap() error { return syscall.EADDRINUSE }

// checkAddresses returns why the service could not bind its addresses. Those that it uses already, since it runs, are good.
func checkAddresses(ctx context.Context, c *config.Config) error {
	addresses := [][2]string{{"ops.listen", c.Ops.Listen}, {"listen", c.Listen}}
	if c.Admin.Listen != "" {
		addresses = append(addresses, [2]string{"admin.listen", c.Admin.Listen})
	}
	var refused []error
	for _, address := range addresses {
		bound, err := bind(ctx, address[0], address[1])
		if err == nil {
			defer func() { _ = bound.Close() }() // not before all are bound: two may be the same
		}
		if _, inUse := errors.AsType[addressInUseError](err); !inUse || !servesAlready(ctx, c, address[1]) {
			refused = append(refused, err)
		}
	}
	return errors.Join(refused...)
}

// servesAlready reports whether the service of the configuration, which answers operators, is what listens at the port of the address.
func servesAlready(ctx context.Context, c *config.Config, address string) bool {
	answer, err := AskOperators(ctx, c)
	return err == nil && answer.IsOf(c) && answer.hasPort(address)
}

// String returns the bound addresses, with blanks between.
func (s sockets) String() string {
	text := s.ops.Addr().String() + " " + s.api.Addr().String()
	if s.admin != nil {
		text += " " + s.admin.Addr().String()
	}
	return text
}

// lent is a socket for a while. To close it ends the wait for a connection alone, until takeBack is called.
type lent struct{ *net.TCPListener }

// Close makes Accept fail with os.ErrDeadlineExceeded.
func (l lent) Close() error { return l.SetDeadline(time.Unix(1, 0)) }

func (l lent) takeBack() error { return l.SetDeadline(time.Time{}) }

// close closes what no listener has closed.
func (s sockets) close() (err error) {
	for _, socket := range []*net.TCPListener{s.ops, s.api, s.admin} {
		if socket == nil {
			continue
		}
		if closed := socket.Close(); !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	return err
}
