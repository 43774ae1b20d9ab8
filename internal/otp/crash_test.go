package otp_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

var errDead = errors.New("the process is dead")

// mortal is a process that enrolls and dies at one moment: from then on nothing of it reaches the store or inWebo.
type mortal struct {
	otp.Inwebo
	service *otp.Service
	moment  string // "before" or "after" a call of the store, by its number, or an exchange, by its name
	mu      sync.Mutex
	dead    bool
	buried  chan struct{} // closed when nothing of it goes on
}

func newMortal(t testing.TB, e *enrollee, moment string) *mortal {
	t.Helper()
	m := &mortal{Inwebo: wire(t, e.sim.ProtocolURL(), time.Minute), moment: moment, buried: make(chan struct{})}
	m.service = otp.New(&storetest.Breaking{Store: e.memory, Decide: func(c storetest.Call) storetest.Fault {
		switch {
		case m.diesAt("before call", c.N):
			return storetest.Fault{Err: errDead}
		case m.diesAt("after call", c.N):
			return storetest.Fault{Err: errDead, Applied: true}
		}
		return storetest.Fault{}
	}}, m, limits(), nil)
	return m
}

// diesAt reports whether the process is dead, and kills it when this is its moment.
func (m *mortal) diesAt(when string, what any) (isDead bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return true
	}
	if m.moment != fmt.Sprint(when, " ", what) {
		return false
	}
	m.dead = true
	go func() {
		defer close(m.buried)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		m.service.Drain(ctx)
	}()
	return true
}

// mortally makes one exchange of a process that may die before or after it.
func mortally[T any](m *mortal, name inwebo.Exchange, exchange func() (T, error)) (reply T, err error) {
	if m.diesAt("before", name) {
		return reply, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrNetwork)
	}
	reply, err = exchange()
	m.diesAt("after", name)
	return reply, err
}

func (m *mortal) ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error) {
	return mortally(m, inwebo.ExchangeActivateSetup, func() (inwebo.ActivateSetup, error) { return m.Inwebo.ActivateSetup(ctx, code) })
}

func (m *mortal) ActivateFinalize(ctx context.Context, a inwebo.Activation) (inwebo.ActivateFinalize, error) {
	return mortally(m, inwebo.ExchangeActivateFinalize, func() (inwebo.ActivateFinalize, error) { return m.Inwebo.ActivateFinalize(ctx, a) })
}

func (m *mortal) MSFinalize(ctx context.Context, who inwebo.Identity, s []inwebo.ServiceSecret, p ratchet.Proofs) (inwebo.Finalized, error) {
	return mortally(m, inwebo.ExchangeMSFinalize, func() (inwebo.Finalized, error) { return m.Inwebo.MSFinalize(ctx, who, s, p) })
}
