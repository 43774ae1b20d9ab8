package otp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// silent is an inWebo that never answers.
type silent struct{ otp.Inwebo }

func (silent) OTPSetup(ctx context.Context, _ inwebo.Identity, _ string) (inwebo.Challenge, error) {
	<-ctx.Done()
	return inwebo.Challenge{}, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrLate)
}

func (silent) ActivateSetup(ctx context.Context, _ secret.Text) (inwebo.ActivateSetup, error) {
	<-ctx.Done()
	return inwebo.ActivateSetup{}, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrLate)
}

// Who is told to wait for a busy device, and does, is not told so again: whatever keeps it busy, here or in another process.
func TestAWaitForABusyDeviceIsKept(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, queue := range []time.Duration{0, 3 * time.Second, 10 * time.Second} {
		for _, enrolls := range []bool{false, true} {
			for _, elsewhere := range []bool{false, true} {
				t.Run(fmt.Sprintf("queue %v/enrolls %v/elsewhere %v", queue, enrolls, elsewhere), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						d, limits := plant(t, sim, inwebosim.Override{}), limits()
						limits.QueueWait = queue
						one := otp.New(d.memory, silent{}, limits, nil)
						other := one
						if elsewhere {
							other = otp.New(d.memory, newBridge(sim), limits, nil)
						}
						go func() {
							if enrolls {
								_, _ = one.Enroll(t.Context(), d.request(), otp.EnrollRequest{Replace: true})
							} else {
								_, _ = one.IssueOTP(t.Context(), d.request(), rightPIN)
							}
						}()
						time.Sleep(time.Second)
						_, err := other.IssueOTP(t.Context(), d.request(), rightPIN)
						wait, ok := errors.AsType[*otp.RetryAfterError](err)
						if !ok || !errors.Is(err, otp.ErrBusy) {
							t.Fatalf("told %v", err)
						}
						time.Sleep(wait.For)
						if _, err := other.IssueOTP(t.Context(), d.request(), rightPIN); errors.Is(err, otp.ErrBusy) {
							t.Errorf("after %v: %v", wait.For, err)
						}
						drained(t, one)
						drained(t, other)
					})
				})
			}
		}
	}
}

// The hold of a process that died is respected to its end, and no longer.
func TestAWaitForADeadHolderIsKept(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d, limits := plant(t, sim, inwebosim.Override{}), limits()
		limits.QueueWait = 0
		dead := otp.New(&storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
			if c.N > hold.nth {
				return storetest.Fault{Err: errDead}
			}
			return storetest.Fault{}
		}}, newBridge(sim), limits, nil)
		if _, err := dead.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrNotStored) {
			t.Errorf("told %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dead.Drain(ctx)

		service := otp.New(d.memory, newBridge(sim), limits, nil)
		_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
		wait, ok := errors.AsType[*otp.RetryAfterError](err)
		if !ok || !errors.Is(err, otp.ErrBusy) || wait.For != otp.HoldMargin {
			t.Fatalf("told %v, want to wait for the margin", err)
		}
		time.Sleep(wait.For - time.Microsecond)
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrBusy) {
			t.Errorf("a moment too early: %v", err)
		}
		time.Sleep(time.Microsecond)
		if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrInDoubt {
			t.Errorf("in time: %v", err)
		}
	})
}
