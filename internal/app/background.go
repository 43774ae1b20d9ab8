package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

// What answers requests, as log and metric name it where it panics, as they name a task.
const (
	taskOperators = "operators"
	taskListener  = "listener"
)

// restartPause is how long after a panic a task is begun again.
const restartPause = 10 * time.Second

// inBackground runs work until the service stops, and again after a panic. It ends before what was built before it is taken down. Log and
// metric name it as task.
func (a *App) inBackground(ctx context.Context, task string, work func(context.Context)) {
	a.metrics.ExpectPanics(task)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for a.recoverPanic(task, func() { work(ctx) }) != nil {
			pause(ctx, restartPause)
			if ctx.Err() != nil {
				return
			}
		}
	}()
	a.closers.push(task, func() error {
		cancel()
		<-ended
		return nil
	})
}

// serveInBackground answers at a listener until it is closed. Its end before that goes to failed.
func (a *App) serveInBackground(d *listener, failed chan<- error) {
	go func() {
		if err := a.recoverPanic(taskListener, func() { d.serve(failed) }); err != nil {
			failed <- err
		}
	}()
}

// recoverPanic calls do. It logs and counts its panic, and returns an error for it.
func (a *App) recoverPanic(task string, do func()) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = a.notePanic(task, value, debug.Stack())
		}
	}()
	do()
	return nil
}

// notePanic logs and counts a panic. It logs the text of the runtime's own panics, and of others the type alone: their text
// may be anything.
func (a *App) notePanic(task string, value any, stack []byte) error {
	err := fmt.Errorf("%s panicked with a value of type %T", task, value)
	if fault, ok := value.(runtime.Error); ok {
		err = fmt.Errorf("%s panicked: %w", task, fault)
	}
	a.metrics.CountPanic(task)
	a.logger.Error("a background task panicked, which is a bug of pimsd: the service goes on", zap.String("task", task), zap.Error(err),
		zap.ByteString("stack", stack))
	return err
}

// recovering answers with 500 where a handler panics, logs it and counts it.
func (a *App) recovering(task string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value) // which is how a handler ends a connection
			}
			_ = a.notePanic(task, value, debug.Stack())
			w.WriteHeader(http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// every calls check at once, and again at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, check func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		check(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// afterEach calls check after each interval until ctx ends.
func afterEach(ctx context.Context, interval time.Duration, check func(context.Context)) {
	isDue := false
	every(ctx, interval, func(ctx context.Context) {
		if isDue {
			check(ctx)
		}
		isDue = true
	})
}
