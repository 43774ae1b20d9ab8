package otp_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/storetest"
)

func TestDrainWaitsForASettle(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		service, store, _ := stuck(d)
		_, err := service.IssueOTP(t.Context(), d.ask(), rightPIN)
		if !errors.Is(err, otp.ErrNotStored) {
			t.Fatal(err)
		}
		start := time.Now()
		time.AfterFunc(time.Hour, func() { store.turn(false) })
		if left := service.Drain(t.Context()); len(left) != 0 || time.Since(start) < time.Hour {
			t.Errorf("drained after %v, given up: %v", time.Since(start), left)
		}
		if _, err := service.IssueOTP(t.Context(), d.ask(), rightPIN); !errors.Is(err, otp.ErrStopping) {
			t.Errorf("after a drain: %v", err)
		}
		d.mustGoOn(t, newBridge(sim), false)
	})
}

// A drain that runs out of time names every account whose outcome it gives up, whichever moment it is; nothing of the
// service goes on, and its devices are known to be in doubt when their holds are over.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, row := range map[string]struct {
		already bool          // the context has ended before
		into    time.Duration // the conversations
	}{
		"at once, callers waiting":   {true, time.Second},
		"at once, callers answered":  {true, time.Minute},
		"later, callers waiting":     {false, time.Second},
		"later, while they are told": {false, limits().Deadline - time.Second},
		"later, callers answered":    {false, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				synctest.Test(t, func(t *testing.T) {
					d := plant(t, sim, inwebosim.Override{})
					service, _, _ := stuck(d)
					answered := make(chan error, 1)
					go func() {
						_, err := service.IssueOTP(context.Background(), d.ask(), rightPIN)
						answered <- err
					}()
					time.Sleep(row.into)
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					if row.already {
						cancel()
					}
					if left := service.Drain(ctx); !slices.Equal(left, []otp.Account{d.account}) {
						t.Errorf("given up: %v, want %v", left, d.account)
					}
					if err := <-answered; !errors.Is(err, otp.ErrNotStored) {
						t.Errorf("the caller is told %v", err)
					}
					time.Sleep(time.Minute)
					if r := d.record(t); !r.InDoubt(time.Now()) {
						t.Errorf("the device is not in doubt: %+v", r)
					}
				})
			}
		})
	}
}

// A drain at any moment under load ends in time: callers are answered, what was given verifies, and no device is left
// held or in doubt.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	const devices, callers = 8, 3
	sim := started(t, func(*inwebosim.Knobs) {})
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			store := storetest.NewMemory()
			client := newBridge(sim)
			client.meddle = func(inwebo.Exchange) mishap { time.Sleep(time.Second); return fine }
			service := otp.New(store, client, generous(), nil)
			var fleet []*device
			var all sync.WaitGroup
			for range devices {
				d := plant(t, sim, inwebosim.Override{})
				must(t, store.Create(t.Context(), otp.Write{ID: d.id, Row: d.row(t)}))
				d.memory = store
				fleet = append(fleet, d)
				for range callers {
					start := time.Duration(random.IntN(10_000)) * time.Millisecond
					all.Go(func() {
						time.Sleep(start)
						issued, err := service.IssueOTP(t.Context(), d.ask(), rightPIN)
						if !errors.Is(err, otp.ErrStopping) {
							mustVerify(t, d, issued, err)
						}
					})
				}
			}
			time.Sleep(time.Duration(random.IntN(15_000)) * time.Millisecond)
			began := time.Now()
			drained(t, service)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("the drain took %v", took)
			}
			all.Wait()
			for _, d := range fleet {
				if r := d.record(t); r.Hold != nil || r.Doubt != nil || !d.inStep(t) {
					t.Errorf("after the drain: %+v", r)
				}
			}
		})
	}
}
