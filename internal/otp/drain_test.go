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
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

func TestDrainWaitsForASettle(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		service, store, _ := stuck(d)
		_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
		if !errors.Is(err, otp.ErrNotStored) {
			t.Fatal(err)
		}
		start := time.Now()
		time.AfterFunc(time.Hour, func() { store.turn(false) })
		if left := service.Drain(t.Context()); len(left) != 0 || time.Since(start) < time.Hour {
			t.Errorf("drained after %v, given up: %v", time.Since(start), left)
		}
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrStopping) {
			t.Errorf("after a drain: %v", err)
		}
		d.mustGoOn(t, newBridge(sim), false)
	})
}

// Who only queues for a device that another process holds is sent away by a drain, and is nothing that it gives up.
func TestDrainSendsQueuersAway(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d, client := plant(t, sim, inwebosim.Override{}), newSlowBridge(sim)
		holder, queuing := otp.New(d.memory, client, limits(), nil), otp.New(d.memory, newBridge(sim), limits(), nil)
		var callers sync.WaitGroup
		callers.Go(func() {
			issued, err := holder.IssueOTP(t.Context(), d.request(), rightPIN)
			mustVerify(t, d, issued, err)
		})
		time.Sleep(time.Second / 2)
		callers.Go(func() {
			if _, err := queuing.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrStopping) {
				t.Errorf("who queues is told %v", err)
			}
		})
		time.Sleep(time.Second / 10)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if left := queuing.Drain(ended); len(left) != 0 {
			t.Errorf("given up: %v", left)
		}
		callers.Wait()
	})
}

// The last deadline is that of the longest conversation under way: an enrollment has more time than an OTP.
func TestLastDeadline(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{})
		service := otp.New(d.memory, silent{}, limits(), nil)
		if last := service.LastDeadline(); !last.Equal(time.Now()) {
			t.Errorf("%v with no conversation", time.Until(last))
		}
		var callers sync.WaitGroup
		callers.Go(func() { _, _ = service.IssueOTP(t.Context(), d.request(), rightPIN) })
		synctest.Wait()
		if left := time.Until(service.LastDeadline()); left != limits().Deadline {
			t.Errorf("%v after the beginning of an OTP", left)
		}
		other := d.request()
		other.Account = "other"
		callers.Go(func() {
			_, _ = service.Enroll(t.Context(), other, otp.EnrollRequest{SMSCode: secret.NewText("1"), PIN: rightPIN})
		})
		synctest.Wait()
		if left := time.Until(service.LastDeadline()); left != otp.EnrollmentDeadlines*limits().Deadline {
			t.Errorf("%v after the beginning of an enrollment", left)
		}
		callers.Wait()
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
						_, err := service.IssueOTP(context.Background(), d.request(), rightPIN)
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

// A lease whose outcome is unknown is among what a drain gives up: its device may come into doubt.
func TestDrainGivesUpAHold(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, isStored := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{})
				service := otp.New(&storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
					if c.Verb != storetest.Replace {
						return storetest.Fault{}
					}
					return storetest.Fault{Err: errStoreFault, Applied: isStored && c.Write.AuditEntry.Stage == otp.StageAttempt}
				}}, newBridge(sim), limits(), nil)
				if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrStore {
					t.Errorf("the caller is told %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if left := service.Drain(ctx); !slices.Equal(left, []otp.Account{d.account}) {
					t.Errorf("given up: %v, want %v", left, d.account)
				}
				time.Sleep(time.Minute)
				if r := d.record(t); r.InDoubt(time.Now()) != isStored {
					t.Errorf("the record is %+v", r)
				}
			})
		})
	}
}

// A drain at any moment under load ends in time: callers are answered, what was given verifies, and no device is left
// held or in doubt.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	const devices, callers = 8, 3
	sim := started(t, func(*inwebosim.Knobs) {})
	for seed := range uint64(25) {
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
						issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
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
				if r := d.record(t); r.Lease != nil || r.Doubt != nil || !d.inStep(t) {
					t.Errorf("after the drain: %+v", r)
				}
			}
		})
	}
}
