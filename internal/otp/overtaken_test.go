package otp_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// overtaken lets one conversation sleep before its settle, another take its place with other, and the first wake up to
// a store that breaks as faults says, by the number of the call since then.
func overtaken(t *testing.T, d *device, firstPIN bool, other func(*otp.Service), faults map[int64]storetest.Fault) (callerErr error) {
	t.Helper()
	holder := &paused{stopped: make(chan struct{}), woken: make(chan struct{})}
	store := &storetest.Breaking{Store: d.memory, Decide: func(c storetest.Call) storetest.Fault {
		if c.N == settle1.nth {
			holder.stop()
		}
		return faults[c.N-settle1.nth+1]
	}}
	holder.service = otp.New(store, newBridge(d.sim), limits(), nil)
	pin := wrongPIN
	if firstPIN {
		pin = rightPIN
	}
	asleep := make(chan error, 1)
	go func() {
		_, err := holder.service.IssueOTP(t.Context(), d.request(), pin)
		asleep <- err
	}()
	<-holder.stopped
	time.Sleep(limits().Deadline + otp.HoldMargin)
	service := otp.New(d.memory, newBridge(d.sim), limits(), nil)
	other(service)
	drained(t, service)
	close(holder.woken)
	callerErr = <-asleep
	drained(t, holder.service)
	return callerErr
}

// A late settle meets a record that has changed, and a store that cannot be read at first: times stay times.
func TestALateSettleThatCannotReadTheRecord(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, right := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := plant(t, sim, inwebosim.Override{Ratchet: inwebosim.RatchetNone})
			start := time.Now()
			_ = overtaken(t, d, right, func(s *otp.Service) {
				_, err := s.IssueOTP(t.Context(), d.request(), wrongPIN)
				if otp.CauseOf(err) != otp.ErrInDoubt {
					t.Errorf("told %v", err)
				}
			}, map[int64]storetest.Fault{2: {Err: errStoreFault}, 4: {Err: errStoreFault}})
			r := d.record(t)
			if r.Guard.Wrong > 0 && r.Guard.WrongAt.Before(start) || right && r.Device.LastOTPAt.Before(start) {
				t.Errorf("the last wrong PIN was at %v, the last OTP at %v; it is %v", r.Guard.WrongAt, r.Device.LastOTPAt, time.Now())
			}
			audited, err := d.memory.AuditAfter(t.Context(), 1, 100) // not the line of planting
			must(t, err)
			for _, line := range audited {
				if line.At.Before(start) {
					t.Errorf("a line of the audit log is of %v: %+v", line.At, line)
				}
			}
		})
	}
}

// An answer that comes late changes nothing of what came of a later conversation, and is not lost otherwise.
func TestALateAnswer(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for name, row := range map[string]struct {
		movement inwebosim.Ratchet
		other    func(t *testing.T, d *device, s *otp.Service)
		steps    uint64
		last     string // line of the audit log
		gone     bool
	}{
		"the device was forgotten": {inwebosim.RatchetDK1, func(t *testing.T, d *device, s *otp.Service) {
			must(t, s.Forget(t.Context(), d.request()))
		}, 1, "outcome: overtaken", true},
		"it was called doubtful": {inwebosim.RatchetDK1, func(t *testing.T, d *device, s *otp.Service) {
			must(t, s.Doubt(t.Context(), d.request()))
		}, 1, "outcome: state_not_stored", false},
		"its PIN was unlocked": {inwebosim.RatchetDK1, func(t *testing.T, d *device, s *otp.Service) {
			must(t, s.Unlock(t.Context(), d.request()))
		}, 1, "outcome: state_not_stored", false},
		"another OTP was given": {inwebosim.RatchetNone, func(t *testing.T, d *device, s *otp.Service) {
			issued, err := s.IssueOTP(t.Context(), d.request(), rightPIN)
			mustVerify(t, d, issued, err)
		}, 1, "outcome: overtaken", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{Ratchet: row.movement})
				callerErr := overtaken(t, d, true, func(s *otp.Service) { row.other(t, d, s) }, nil)
				if otp.CauseOf(callerErr) != otp.ErrNotStored {
					t.Errorf("the caller is told %v", callerErr)
				}
				r, lines := d.record(t), d.lines(t)
				if r.Step != row.steps || r.Lease != nil || len(r.Guard.Attempts) != 0 {
					t.Errorf("%+v", r)
				}
				if lines[len(lines)-1] != row.last {
					t.Errorf("the audit log ends with %q", lines[len(lines)-1])
				}
				if row.gone != (r.Device == nil) {
					t.Fatalf("the device is %+v", r.Device)
				}
				if !row.gone {
					d.mustGoOn(t, newBridge(sim), false)
				}
			})
		})
	}
}

// A doubt that a later conversation left is not ended by an older answer that comes late, and by the next proof only.
func TestALateAnswerLeavesALaterDoubt(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{Ratchet: inwebosim.RatchetNone})
		_ = overtaken(t, d, true, func(*otp.Service) {
			must(t, sim.SetOverride(d.id, inwebosim.Override{Ratchet: inwebosim.RatchetDK1}))
			client := newBridge(sim)
			client.meddle = onFinalize(answerLost)
			service := otp.New(d.memory, client, limits(), nil)
			if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrUnreachable {
				t.Errorf("told %v", err)
			}
		}, nil)
		if r := d.record(t); r.Doubt == nil || d.inStep(t) {
			t.Errorf("in step %v, doubt %+v", d.inStep(t), r.Doubt)
		}
		d.mustGoOn(t, newBridge(sim), true)
	})
}

// A late settle takes nothing from the conversation that holds the device by then: not the hold, not its guess.
func TestALateSettleLeavesTheHolderAlone(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, right := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := plant(t, sim, inwebosim.Override{Ratchet: inwebosim.RatchetNone})
			holder := pausedAt(d, beforeSetup)
			asleep := make(chan struct{})
			pin := rightPIN
			if !right {
				pin = wrongPIN
			}
			_ = overtaken(t, d, right, func(*otp.Service) {
				go func() {
					defer close(asleep)
					issued, err := holder.service.IssueOTP(t.Context(), d.request(), pin)
					if right {
						mustVerify(t, d, issued, err)
					}
				}()
				<-holder.stopped
			}, nil)
			r := d.record(t)
			if r.Lease == nil || len(r.Guard.Attempts) != 1 || r.Guard.Attempts[0].Conversation != r.Lease.Conversation {
				t.Errorf("the holder is left with %+v, %+v", r.Lease, r.Guard)
			}
			hasty := limits()
			hasty.QueueWait = 0
			if _, err := otp.New(d.memory, newBridge(sim), hasty, nil).IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrBusy) {
				t.Errorf("a third is told %v", err)
			}
			close(holder.woken)
			<-asleep
			drained(t, holder.service)
			if r := d.record(t); r.Lease != nil || len(r.Guard.Attempts) != 0 {
				t.Errorf("afterwards: %+v", r)
			}
		})
	}
}

// A refusal of an overtaken conversation may be one of its challenge, which a later one has replaced: no caller is told then that
// the device is lost.
func TestRefusalOfAnOvertakenConversation(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err        string
		wasInDoubt bool
		reason     errcodes.Reason
	}{
		{"NOK:ACCESS", false, errcodes.ReasonDeviceInDoubt},
		{"NOK:STATE", false, errcodes.ReasonOvertaken},
		{"NOK:STATE", true, errcodes.ReasonOvertaken},
		{"NOK:FORBIDDEN", false, errcodes.ReasonOvertaken},
	} {
		t.Run(row.err, func(t *testing.T) {
			t.Parallel()
			d := plant(t, started(t, usual), inwebosim.Override{})
			if row.wasInDoubt {
				d.changeRecord(t, func(r *otp.Record) { r.Doubt = &otp.Doubt{Since: time.Now(), By: r.Revision} })
			}
			client := wire(t, d.sim.ProtocolURL(), time.Minute)
			clock := &shifted{Store: d.memory}
			sleeping := &delayed{Inwebo: client, waits: make(chan struct{}), goOn: make(chan struct{})}
			sleeper, service := otp.New(clock, sleeping, limits(), nil), otp.New(clock, client, limits(), nil)
			callerErr := make(chan error, 1)
			go func() {
				_, err := sleeper.IssueOTP(t.Context(), d.request(), rightPIN)
				callerErr <- err
			}()
			<-sleeping.waits
			clock.advance(limits().Deadline + otp.HoldMargin)
			issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
			mustVerify(t, d, issued, err)
			must(t, d.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: row.err, Match: d.match("ActionFinalize"), Times: 1}))
			close(sleeping.goOn)
			if err := <-callerErr; otp.ReasonOf(err) != row.reason {
				t.Errorf("told %v, reason %s, want %s", err, otp.ReasonOf(err), row.reason)
			}
			drained(t, sleeper)
		})
	}
}
