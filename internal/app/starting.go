package app

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
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
	borrowed := []lent{{a.sockets.ops}, {a.sockets.api}}
	if a.sockets.admin != nil {
		borrowed = append(borrowed, lent{a.sockets.admin})
	}
	operators, err := openListener(listenerOptions{
		setting: "ops.listen", bound: borrowed[0], handler: a.recovering(taskOperators, a.named(handler)), timeouts: opsTimeouts(),
		connections: opsConnections, observe: func(connectionEvent) {}, logger: a.logger,
	})
	if err != nil {
		return nil, err
	}
	var answering sync.WaitGroup
	failed := make(chan error, 1) // what is wrong with the socket shows again when the service is there
	answering.Go(func() { operators.serve(failed) })
	for _, callers := range borrowed[1:] {
		answering.Go(func() { refuse(callers) })
	}
	return func() error {
		err := operators.close()
		for _, socket := range borrowed {
			err = errors.Join(err, socket.Close())
		}
		answering.Wait()
		for _, socket := range borrowed {
			err = errors.Join(err, socket.takeBack())
		}
		return err
	}, nil
}

// refuse closes each connection that arrives, until the socket is closed.
func refuse(l lent) {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			_ = c.Close()
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(refusePause) // no file descriptor is left, for example
		}
	}
}

// refusePause is how long connections are left waiting after one could not be accepted.
const refusePause = 100 * time.Millisecond
