package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signals turns the signals that the process receives into what a command sees.
//
// SIGINT, SIGTERM and SIGHUP end the command's context, and a second one ends the process as the system does. A command that
// must not be cut off says so with Protect, and one that reloads at SIGHUP with OnHangup.
type signals struct {
	received chan os.Signal
	cancel   context.CancelFunc

	mu     sync.Mutex
	waits  func() // tells a person that a protected command waits; nil: the command is not protected
	reload func() // nil: SIGHUP is as SIGTERM
}

// listen begins to receive signals. The context ends at the first that asks the process to end, or with stop.
//
// SIGPIPE is ignored from then on: by default the next line that is written to a log or a terminal that went away would end
// the process in the middle of its conversations. SIGHUP stays ignored where the process was started so, as by nohup.
func listen(ctx context.Context) (_ context.Context, s *signals, stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	s = &signals{received: make(chan os.Signal, 1), cancel: cancel}
	signal.Notify(s.received, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.received, syscall.SIGHUP)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-s.received:
				s.handle(sig)
			case <-ended:
				return
			}
		}
	}()
	return ctx, s, func() {
		signal.Stop(s.received)
		close(ended)
		cancel()
	}
}

func (s *signals) handle(sig os.Signal) {
	s.mu.Lock()
	waits, reload := s.waits, s.reload
	s.mu.Unlock()
	if sig == syscall.SIGHUP && reload != nil {
		reload()
		return
	}
	if waits == nil {
		signal.Stop(s.received) // the next one ends the process, from before anything shows that this one has arrived
	}
	s.cancel()
	if waits != nil {
		waits()
	}
}

// Protect keeps further signals from ending the process until release is called. waits is called at each signal that asks it to
// end.
func (s *signals) Protect(waits func()) (release func()) {
	s.setWaits(waits)
	return func() { s.setWaits(nil) }
}

func (s *signals) setWaits(waits func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = waits
}

// OnHangup makes SIGHUP call reload, which must not block, instead of asking the process to end.
func (s *signals) OnHangup(reload func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reload = reload
	signal.Notify(s.received, syscall.SIGHUP)
}
