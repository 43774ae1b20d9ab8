package inwebosim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// listener is a bound socket with the HTTP server that answers on it.
type listener struct {
	socket  net.Listener
	server  *http.Server
	serving sync.WaitGroup
	err     error // of Serve; read after serving
}

// grace is how long a stopping listener waits for answers under way before it closes their connections.
const grace = 500 * time.Millisecond

func bind(address string, handler http.Handler) (*listener, error) {
	socket, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("binding %s: %w", address, err)
	}
	return &listener{socket: socket, server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // requests cut short are what it is for
	}}, nil
}

func (d *listener) url() string { return "http://" + d.socket.Addr().String() }

func (d *listener) start() {
	d.serving.Go(func() {
		if err := d.server.Serve(d.socket); !errors.Is(err, http.ErrServerClosed) {
			d.err = fmt.Errorf("serving %s: %w", d.socket.Addr(), err)
		}
	})
}

// stop closes the listener, started or not, and every connection, and reports what ended serving before.
func (d *listener) stop(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if d.server.Shutdown(short) != nil {
		_ = d.server.Close()
	}
	_ = d.socket.Close()
	d.serving.Wait()
	return d.err
}

// drainGate lets no request in once it is closed, and tells when those that were in have ended.
type drainGate struct {
	requests sync.RWMutex  // each request has it for reading; once the gate is closed it stays locked
	empty    chan struct{} // made by close
}

// guard puts handler behind the gate.
func (g *drainGate) guard(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.requests.TryRLock() {
			panic(http.ErrAbortHandler)
		}
		defer g.requests.RUnlock()
		handler.ServeHTTP(w, r)
	})
}

// close shuts the gate, once, and returns what reports that no call is left inside.
func (g *drainGate) close() <-chan struct{} {
	g.empty = make(chan struct{})
	go func() {
		g.requests.Lock()
		close(g.empty)
	}()
	return g.empty
}
