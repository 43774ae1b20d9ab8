package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// maxHeaderBytes bounds the header of a request: 16 KiB, and net/http's own allowance on top.
const maxHeaderBytes = 16 << 10

// closePatience is how long a listener that is told to stop waits for answers that are being sent.
const closePatience = time.Second

// door is a listener with what it serves.
type door struct {
	setting  string
	listener net.Listener
	server   *http.Server
}

// timeouts are those of a door; each bounds what a silent or slow peer can hold.
// That for reading ends with the body: it does not cut a call short that waits.
type timeouts struct{ header, read, write, idle time.Duration }

// doorOptions are what a door is made of.
type doorOptions struct {
	setting     string // its name
	bound       net.Listener
	handler     http.Handler
	timeouts    timeouts
	connections int // at the same time
	heard       func(connectionEvent)
	logger      *zap.Logger
}

// openDoor returns a door that serves from serve on.
func openDoor(o doorOptions) (*door, error) {
	errorLog, err := zap.NewStdLogAt(o.logger.Named("http"), zap.DebugLevel)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: o.handler, ErrorLog: errorLog, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: o.timeouts.header, ReadTimeout: o.timeouts.read, WriteTimeout: o.timeouts.write, IdleTimeout: o.timeouts.idle,
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered as every other wrong request is
	}
	listener := boundConnections(o.bound, o.connections, o.heard)
	listener.follow(server)
	return &door{o.setting, listener, server}, nil
}

func (d *door) address() string { return d.listener.Addr().String() }

// secure makes the door speak TLS, with what the configuration shows. It comes before serve.
func (d *door) secure(config *tls.Config) {
	d.server.Protocols = new(http.Protocols)
	d.server.Protocols.SetHTTP1(true)
	d.listener = tls.NewListener(d.listener, config)
}

// loopback is the address at which this process finds the door itself.
func (d *door) loopback() string {
	address, ok := d.listener.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsUnspecified() {
		return d.address()
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: address.Port}).String()
}

// serve answers until the door is closed; its end before that goes to failed.
func (d *door) serve(failed chan<- error) {
	if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		failed <- fmt.Errorf("%s: %w", d.setting, err)
	}
}

// close lets answers under way out, for a moment, and closes the door. It can be called before serve.
func (d *door) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.server.Close()
	}
	if closed := d.listener.Close(); !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}
