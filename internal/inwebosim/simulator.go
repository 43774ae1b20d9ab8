package inwebosim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Simulator is one simulated service with its two listeners. Its methods may be called from any goroutine.
type Simulator struct {
	options        Options
	now            func() time.Time
	seed           uint64
	keys           keyring
	registry       *registry
	issuedOTPs     *issuedOTPs
	faults         *faultList
	history        *history
	knobs          atomic.Pointer[Knobs]
	hooks          atomic.Pointer[Hooks]
	unknownDevices atomic.Uint64 // requests of no known device
	streams        atomic.Uint64

	serviceIDs, secretIDs []string

	protocol, control *listener
	gate              drainGate
	stopping          chan struct{}
	startOnce         sync.Once
	stopOnce          sync.Once
	stopErr           error
}

// New checks the options, reporting every fault, and binds both listeners; [Simulator.Stop] frees them.
func New(o Options) (*Simulator, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("inWebo simulator: %w", err)
	}
	s := &Simulator{options: o, now: o.Now, seed: o.Seed, stopping: make(chan struct{})}
	if s.seed == 0 {
		s.seed = randomSeed()
	}
	s.issuedOTPs = newIssuedOTPs()
	s.registry = newRegistry(s.seed)
	s.faults = &faultList{seed: s.seed}
	s.history = &history{limit: o.HistoryLimit}
	s.knobs.Store(&o.Knobs)
	s.hooks.Store(&Hooks{})
	s.serviceIDs = numbers(s.seed, "s_id", 9)
	s.secretIDs = numbers(s.seed, "ms_id", maxSecrets)
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("inWebo simulator: %w", err)
	}
	return s, nil
}

// prepare does what can fail.
func (s *Simulator) prepare() (err error) {
	if s.keys, err = newKeyring(s.seed); err != nil {
		return err
	}
	for _, a := range s.options.Accounts {
		if err := s.AddAccount(a); err != nil {
			return err
		}
	}
	if s.protocol, err = bind(s.options.Listen, s.Handler()); err != nil {
		return err
	}
	if s.control, err = bind(s.options.Control, s.gate.guard(s.controlHandler())); err != nil {
		_ = s.protocol.socket.Close()
		return err
	}
	return nil
}

// Start serves both listeners; called again it does nothing.
func (s *Simulator) Start() {
	s.startOnce.Do(func() {
		s.protocol.start()
		s.control.start()
	})
}

// Stop ends every wait, lets answers under way out, and closes both listeners. It returns when nothing of the
// simulator runs any more, or with ctx's error; called again it returns what it returned first.
func (s *Simulator) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		close(s.stopping)
		idle := s.gate.close()
		errProtocol, errControl := s.protocol.stop(ctx), s.control.stop(ctx)
		select {
		case <-idle:
			s.stopErr = errors.Join(errProtocol, errControl)
		case <-ctx.Done():
			s.stopErr = fmt.Errorf("inWebo simulator: a request is still under way: %w", ctx.Err())
		}
	})
	return s.stopErr
}

// ProtocolURL is the base URL of the protocol listener, without a path.
func (s *Simulator) ProtocolURL() string { return s.protocol.url() }

// ControlURL is the base URL of the control listener.
func (s *Simulator) ControlURL() string { return s.control.url() }
