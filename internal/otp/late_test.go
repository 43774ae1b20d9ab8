package otp_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// No finalize starts with less than its own time-out left.
func TestTooLateForAFinalize(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, row := range map[string]struct {
		setup     time.Duration // how long it takes
		rounds    int
		callerErr error
		remain    remains
	}{
		"in time":                  {9 * time.Second, 1, nil, remains{1, false, 0, 1, 1}},
		"just in time":             {9*time.Second + 500*time.Millisecond, 1, nil, remains{1, false, 0, 1, 1}},
		"too late":                 {10 * time.Second, 1, otp.ErrLate, remains{}},
		"too late for a second":    {8 * time.Second, 2, otp.ErrSecondRound, remains{1, false, 0, 1, 1}},
		"in time for a second":     {4 * time.Second, 2, nil, remains{2, false, 0, 1, 2}},
		"past the deadline at all": {time.Minute, 1, otp.ErrLate, remains{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{SecondRound: secondRound(row.rounds)})
				client := newBridge(sim)
				client.meddle = func(exchange inwebo.Exchange) mishap {
					if exchange == inwebo.ExchangeOTPSetup {
						time.Sleep(row.setup)
					}
					return fine
				}
				service := otp.New(d.memory, client, limits(), nil)
				issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
				drained(t, service)
				if row.callerErr == nil {
					mustVerify(t, d, issued, err)
				} else if otp.CauseOf(err) != row.callerErr {
					t.Errorf("told %v, want %v", err, row.callerErr)
				}
				d.mustRemain(t, row.remain, false)
			})
		})
	}
}

// slowActivation is an inWebo that takes its time for an activate setup, and must not be asked to activate.
type slowActivation struct {
	*bridge
	t    *testing.T
	took time.Duration
}

func (s *slowActivation) ActivateSetup(context.Context, secret.Text) (inwebo.ActivateSetup, error) {
	time.Sleep(s.took)
	answer := readReply(s.request(url.Values{
		"action": {"ActionSetup"}, "mode": {"activate"}, "id": {""}, "lastsync": {"0"}, "code": {smsCode.Reveal()},
		"version": {"test/1"}, "macid": {strings.Repeat("0", 32)},
	}))
	return inwebo.ActivateSetup{Kfact: answer["Kfact"], Kiw: answer["Kiw"], PINMode: inwebo.PINNew}, nil
}

func (s *slowActivation) ActivateFinalize(context.Context, inwebo.Activation) (inwebo.ActivateFinalize, error) {
	s.t.Error("an activation was begun that has no time to end")
	return inwebo.ActivateFinalize{}, inwebo.ErrNoAnswer
}

// No activation starts without time for both of its finalizes: one that ends in the middle costs the SMS code.
func TestTooLateForAnActivation(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		e := &enrollee{device{sim: sim, account: "someone", memory: storetest.NewMemory()}}
		client := &slowActivation{newBridge(sim), t, 2*limits().Deadline - 2*limits().FinalizeTimeout}
		service := otp.New(e.memory, client, limits(), nil)
		_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
		drained(t, service)
		if otp.CauseOf(err) != otp.ErrLate {
			t.Errorf("told %v", err)
		}
		if r := e.record(t); r.Enrollment != nil || r.Lease != nil || r.Serial == "" {
			t.Errorf("it leaves %+v", r)
		}
		mustHaveLines(t, &e.device, "attempt", "outcome: "+string(otp.ReasonOf(otp.ErrLate)))
	})
}
