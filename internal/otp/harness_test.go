package otp_test

import (
	"context"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// limits are those of a real service.
func limits() otp.Limits {
	return otp.Limits{
		Deadline: 15 * time.Second, FinalizeTimeout: 5 * time.Second, QueueWait: 10 * time.Second, StoreTimeout: 5 * time.Second,
		Guard:      otp.GuardLimits{Attempts: 2, Pause: 5 * time.Second, Unanswered: 15 * time.Minute},
		OTPsPerDay: 6, SetupRepeats: 100, CircuitFaults: 3, CircuitTimeout: 5 * time.Second,
	}
}

// generous are limits without a quota, for tests about other things that make many OTPs.
func generous() otp.Limits {
	l := limits()
	l.OTPsPerDay = 0
	return l
}

// wire is a client that speaks to base over sockets.
func wire(t testing.TB, base string, timeout time.Duration) *inwebo.Client {
	t.Helper()
	u, err := url.Parse(base)
	must(t, err)
	client := inwebo.New(inwebo.Config{
		BaseURL: u, Path: "/iwws/MAC", MacID: "bb8e981582b0f31353108fb020bead1c", Version: "Generator-1.0/0.2.11",
		UserAgent: "test", DeviceName: "test", Language: "fr", ExchangeTimeout: timeout, DialTimeout: timeout,
	})
	t.Cleanup(client.Close)
	return client
}

// unreachable is an address at which nothing listens.
const unreachable = "http://127.0.0.1:1"

// detour sends the nth exchange of a kind, from 1, and all that follow to another client.
type detour struct {
	otp.Inwebo
	other otp.Inwebo
	of    inwebo.Exchange
	nth   int64
	seen  atomic.Int64
}

func (d *detour) client(of inwebo.Exchange) otp.Inwebo {
	if of == d.of && d.seen.Add(1) >= d.nth {
		return d.other
	}
	return d.Inwebo
}

func (d *detour) OTPSetup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error) {
	return d.client(inwebo.ExchangeOTPSetup).OTPSetup(ctx, who, sid)
}

func (d *detour) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	return d.client(inwebo.ExchangeOTPFinalize).OTPFinalize(ctx, who, sid, p)
}

func (d *detour) ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error) {
	return d.client(inwebo.ExchangeActivateSetup).ActivateSetup(ctx, code)
}

func (d *detour) ActivateFinalize(ctx context.Context, a inwebo.Activation) (inwebo.ActivateFinalize, error) {
	return d.client(inwebo.ExchangeActivateFinalize).ActivateFinalize(ctx, a)
}

func (d *detour) MSFinalize(ctx context.Context, who inwebo.Identity, s []inwebo.ServiceSecret, p ratchet.Proofs) (inwebo.Finalized, error) {
	return d.client(inwebo.ExchangeMSFinalize).MSFinalize(ctx, who, s, p)
}

// shifted is a store whose clock goes ahead of the machine's.
type shifted struct {
	otp.Store
	ahead atomic.Int64 // nanoseconds
}

func (s *shifted) advance(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *shifted) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *shifted) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, now, err := s.Store.Fetch(ctx, account)
	return row, now.Add(time.Duration(s.ahead.Load())), err
}

func (s *shifted) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	return s.Store.Update(ctx, account, key, func(found otp.Snapshot) otp.Decision {
		found.Now = found.Now.Add(time.Duration(s.ahead.Load()))
		return decide(found)
	})
}

// later is the device's store at a time when no guess is held back any more for its pause.
func (d *device) later() *shifted {
	s := &shifted{Store: d.memory}
	s.advance(time.Minute)
	return s
}

// drained wants that the service has nothing left to settle.
func drained(t testing.TB, s *otp.Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if left := s.Drain(ctx); len(left) != 0 {
		t.Errorf("the outcome of %v was not settled", left)
	}
}

// The ways in which inWebo may take proofs of keys that it has moved on from.
var modes = []inwebosim.LostFinalize{
	inwebosim.LostFinalizeStrict, inwebosim.LostFinalizeForbidden, inwebosim.LostFinalizeLenient,
}

var movements = []inwebosim.Ratchet{
	inwebosim.RatchetNone, inwebosim.RatchetDK1, inwebosim.RatchetK1, inwebosim.RatchetK0K1, inwebosim.RatchetK0K1dK1,
}

// simulators are one for each mode.
func simulators(t testing.TB) map[inwebosim.LostFinalize]*inwebosim.Simulator {
	t.Helper()
	sims := map[inwebosim.LostFinalize]*inwebosim.Simulator{}
	for _, mode := range modes {
		sims[mode] = started(t, func(k *inwebosim.Knobs) { k.LostFinalize = mode })
	}
	return sims
}
