package inwebosim

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a simulator that serves until the test ends.
func started(t testing.TB, o Options) *Simulator {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

// with is a started simulator whose knobs differ from the default ones.
func with(t testing.TB, turn func(*Knobs)) *Simulator {
	t.Helper()
	k := DefaultKnobs()
	turn(&k)
	return started(t, Options{Knobs: k, Seed: 7})
}

// enrolled is a client whose device is activated.
func enrolled(t testing.TB, s *Simulator) *client {
	t.Helper()
	c := newClient(t, s)
	if err := c.activate(DefaultCode); err != nil {
		t.Fatalf("activation: %v", err)
	}
	return c
}

// mustVerify gets one password and has it verified.
func mustVerify(t testing.TB, s *Simulator, c *client) {
	t.Helper()
	otp, err := c.otp()
	if err != nil {
		t.Fatalf("otp: %v", err)
	}
	if !s.Verify(otp) {
		t.Fatalf("the password %q does not verify", otp)
	}
}

// mustRefuse wants a round with that PIN refused with that err.
func mustRefuse(t testing.TB, c *client, pin, want string) {
	t.Helper()
	_, err := c.round(pin)
	if !isRefusal(err, want) {
		t.Fatalf("the round ended with %v, want %s", err, want)
	}
}

func isRefusal(err error, want string) bool {
	return err != nil && (err.Error() == want || err.Error() == "setup: "+want)
}

func expectedState(t testing.TB, s *Simulator, c *client) DeviceState {
	t.Helper()
	got, err := s.DeviceState(c.id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plant plants a fault, which must be a valid one.
func plant(t testing.TB, s *Simulator, n Fault) {
	t.Helper()
	if err := s.Plant(n); err != nil {
		t.Fatal(err)
	}
}
