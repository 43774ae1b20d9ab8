package app

import (
	"context"
	"errors"
	"net"
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
	same, err := a.sockets.duplicate()
	if err != nil {
		return nil, err
	}
	operators, err := openListener(listenerOptions{
		setting: "ops.listen", bound: same.ops, handler: a.recovering(taskOperators, a.named(handler)), timeouts: opsTimeouts(),
		connections: opsConnections, observe: func(connectionEvent) {}, logger: a.logger,
	})
	if err != nil {
		return nil, errors.Join(err, same.close())
	}
	var answering sync.WaitGroup
	failed := make(chan error, 1) // what is wrong with the socket shows again when the service is there
	answering.Go(func() { operators.serve(failed) })
	answering.Go(func() { refuse(same.api) })
	if same.admin != nil {
		answering.Go(func() { refuse(same.admin) })
	}
	return func() error {
		err := errors.Join(operators.close(), same.close())
		answering.Wait()
		return err
	}, nil
}

// refuse closes each connection that arrives, until the listener is closed.
func refuse(l net.Listener) {
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
