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

// closeTimeout is how long a listener that is told to stop waits for answers that are being sent.
const closeTimeout = time.Second

// listener is a socket, with the HTTP server that answers on it.
type listener struct {
	setting string
	socket  net.Listener
	server  *http.Server
}

// timeouts bound what a silent or slow peer can occupy of a listener.
// The one for reading ends with the body: it does not cut a call that waits.
type timeouts struct{ header, read, write, idle time.Duration }

// listenerOptions are the parts of a listener.
type listenerOptions struct {
	setting     string // its name
	bound       net.Listener
	handler     http.Handler
	timeouts    timeouts
	connections int // at the same time
	observe     func(connectionEvent)
	logger      *zap.Logger
}

// openListener returns a listener that answers when serve is called.
func openListener(o listenerOptions) (*listener, error) {
	errorLog, err := zap.NewStdLogAt(o.logger.Named("http"), zap.DebugLevel)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: o.handler, ErrorLog: errorLog, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: o.timeouts.header, ReadTimeout: o.timeouts.read, WriteTimeout: o.timeouts.write, IdleTimeout: o.timeouts.idle,
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered as every other wrong request is
	}
	socket := limitConnections(o.bound, o.connections, o.observe)
	socket.trackRequests(server)
	return &listener{o.setting, socket, server}, nil
}

func (d *listener) address() string { return d.socket.Addr().String() }

// secure makes the listener use TLS. It must be called before serve.
func (d *listener) secure(config *tls.Config) {
	d.server.Protocols = new(http.Protocols)
	d.server.Protocols.SetHTTP1(true)
	d.socket = tls.NewListener(d.socket, config)
}

// serve answers until close is called. When it ends for another reason, it sends that error to failed.
func (d *listener) serve(failed chan<- error) {
	if err := d.server.Serve(d.socket); !errors.Is(err, http.ErrServerClosed) {
		failed <- fmt.Errorf("%s: %w", d.setting, err)
	}
}

// close waits up to closeTimeout for answers in progress, and closes the listener. It can be called before serve.
func (d *listener) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.server.Close()
	}
	if closed := d.socket.Close(); !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}
