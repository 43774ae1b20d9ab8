package app

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/telemetry"
)

// startsHeader is the header of every answer to operators while the service starts.
const startsHeader = "X-Pimsd-Starts"

var errStarting = errors.New("the service is starting: its store is being opened, verified or migrated, which can take minutes")

// answerWhileStarting answers at the bound addresses while the store is opened: operators are told that the service is alive and not
// ready, and connections of callers are closed at once. Otherwise both would wait without an answer. stop ends it, and leaves the
// sockets as they were.
func (a *App) answerWhileStarting() (stop func() error, err error) {
	ready := func(context.Context) error { return errStarting }
	handler := telemetry.WithHeader(startsHeader, "true", telemetry.OpsHandler(a.metrics, telemetry.Check{Name: "serving", Ready: ready}))
	ops, listeners := &pausableListener{Listener: a.sockets.ops}, []*pausableListener{{Listener: a.sockets.api}}
	if a.sockets.admin != nil {
		listeners = append(listeners, &pausableListener{Listener: a.sockets.admin})
	}
	operators, err := openListener(listenerOptions{
		setting: "ops.listen", bound: ops, handler: a.recovering(taskOperators, a.named(handler)), timeouts: opsTimeouts(),
		connections: opsConnections, observe: func(connectionEvent) {}, logger: a.logger,
	})
	if err != nil {
		return nil, err
	}
	var answering sync.WaitGroup
	failed := make(chan error, 1) // what is wrong with the socket shows again when the service is there
	answering.Go(func() { operators.serve(failed) })
	for _, listener := range listeners {
		answering.Go(listener.refuse)
	}
	return func() error {
		err := operators.close()
		for _, listener := range listeners {
			err = errors.Join(err, listener.Close())
		}
		answering.Wait()
		for _, socket := range append(listeners, ops) {
			err = errors.Join(err, socket.resume())
		}
		return err
	}, nil
}

// pausableListener is a listener whose Close ends its use, and leaves its socket open.
type pausableListener struct {
	net.Listener

	closed atomic.Bool
}

// Accept is as net.Listener says.
func (l *pausableListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && l.closed.Load() {
		err = net.ErrClosed
	}
	return c, err
}

// Close ends what waits in Accept.
func (l *pausableListener) Close() error {
	if l.closed.Swap(true) {
		return net.ErrClosed
	}
	return l.setDeadline(time.Unix(1, 0))
}

// resume makes the socket accept connections again.
func (l *pausableListener) resume() error { return l.setDeadline(time.Time{}) }

func (l *pausableListener) setDeadline(at time.Time) error {
	if socket, ok := l.Listener.(interface{ SetDeadline(at time.Time) error }); ok {
		return socket.SetDeadline(at)
	}
	return errors.New("the listener is none of TCP")
}

// refuse closes each connection that arrives, until Close.
func (l *pausableListener) refuse() {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			_ = c.Close()
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(refusePause) // no file descriptor is left, for example
		}
	}
}

// refusePause is how long connections are left waiting after one could not be accepted.
const refusePause = 100 * time.Millisecond
