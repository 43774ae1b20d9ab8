package otp_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// The calls of the store in the course of an enrollment.
var enrollmentCalls = []call{{"fetch", 1}, {"hold", 2}, {"activated", 3}, {"enrolled", 4}}

// Every call of the store of an enrollment × whatever can go wrong with it × an account with a device or without.
func TestEnrollmentStoreFaults(t *testing.T) {
	t.Parallel()
	for _, f := range storeFaults() {
		for _, at := range enrollmentCalls {
			for _, replace := range []bool{false, true} {
				if f.hangs { // there is no bubble around sockets, and the calls are the same as an OTP's
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/replace %v", at.name, f.name, replace), func(t *testing.T) {
					t.Parallel()
					e := newEnrollee(t, usual)
					if replace {
						e.mustEnroll(t, otp.EnrollRequest{})
					}
					heard := len(e.sim.History(inwebosim.Match{}))
					service := otp.New(f.breaking(&e.device, at), wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
					_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: replace})
					drained(t, service)
					if at.nth > hold.nth {
						must(t, err)
						e.id = e.record(t).Device.Identity.ID
						e.mustIssue(t)
						e.mustHaveOneSerial(t)
						return
					}
					if otp.CauseOf(err) != otp.ErrStore || len(e.sim.History(inwebosim.Match{})) != heard {
						t.Errorf("told %v, and inWebo was asked: %v", err, len(e.sim.History(inwebosim.Match{})) != heard)
					}
					if e.hasRow() && (e.record(t).Enrollment != nil || e.record(t).Lease != nil) {
						t.Errorf("it leaves %+v", e.record(t))
					}
					e.mustGoOnUnenrolled(t, replace, false)
					e.mustEnroll(t, otp.EnrollRequest{Replace: replace})
					e.mustHaveOneSerial(t)
				})
			}
		}
	}
}

// What a process leaves that dies in the course of an enrollment.
const (
	nothing  = "nothing"
	held     = "" // a hold, with the phase that the enrollment has come to
	enrolled = "enrolled"
)

// A process that dies at any point of an enrollment leaves a clear way on: the same serial with a new SMS code. Nothing
// half-enrolled is used, and an old device stays until the new one is stored.
func TestKilledWhileEnrolling(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		at      string
		phase   otp.EnrollmentPhase
		left    string
		movedOn bool // inWebo knows the old device no more
	}{
		{at: "before call 1", left: nothing},
		{at: "before call 2", left: nothing},
		{at: "after call 2", phase: otp.PhaseEnrolling},
		{at: "before activate_setup", phase: otp.PhaseEnrolling},
		{at: "after activate_setup", phase: otp.PhaseEnrolling},
		{at: "before activate_finalize", phase: otp.PhaseEnrolling},
		{at: "after activate_finalize", phase: otp.PhaseEnrolling, movedOn: true},
		{at: "before call 3", phase: otp.PhaseEnrolling, movedOn: true},
		{at: "after call 3", phase: otp.PhaseActivated, movedOn: true},
		{at: "before ms_finalize", phase: otp.PhaseActivated, movedOn: true},
		{at: "after ms_finalize", phase: otp.PhaseActivated, movedOn: true},
		{at: "before call 4", phase: otp.PhaseActivated, movedOn: true},
		{at: "after call 4", left: enrolled},
	} {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/replace %v", row.at, replace), func(t *testing.T) {
				t.Parallel()
				e := newEnrollee(t, usual)
				if replace {
					e.mustEnroll(t, otp.EnrollRequest{})
				}
				process := newMortal(t, e, row.at)
				if _, err := process.service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: replace}); err == nil {
					t.Fatal("the process lives")
				}
				<-process.buried
				switch row.left {
				case nothing:
					if e.hasRow() != replace {
						t.Errorf("there is a record: %v", e.hasRow())
					}
				case held:
					e.mustBeHeld(t, row.phase, replace)
				case enrolled:
					e.id = e.record(t).Device.Identity.ID
					e.mustIssue(t)
					return
				}
				e.mustGoOnUnenrolled(t, replace, row.movedOn)
				must(t, e.enrollLater(t, replace))
				e.id = e.record(t).Device.Identity.ID
				e.mustIssue(t)
				e.mustHaveOneSerial(t)
			})
		}
	}
}

// mustBeHeld wants the device of a dead process to be held, and an enrollment of that phase with it.
func (e *enrollee) mustBeHeld(t *testing.T, phase otp.EnrollmentPhase, replace bool) {
	t.Helper()
	r := e.record(t)
	if r.Lease == nil || r.Enrollment == nil || r.Enrollment.Phase != phase || (r.Device != nil) != replace {
		t.Errorf("it leaves %+v", r)
	}
	hasty := limits()
	hasty.QueueWait = 0
	err := e.enroll(t, hasty, otp.EnrollRequest{Replace: true})
	wait, ok := errors.AsType[*otp.RetryAfterError](err)
	if !ok || !errors.Is(err, otp.ErrBusy) || wait.For <= limits().Deadline || wait.For > 2*limits().Deadline+otp.HoldMargin {
		t.Errorf("while it is held: %v", err)
	}
}

// enrollLater enrolls when the hold of a dead process is over.
func (e *enrollee) enrollLater(t *testing.T, replace bool) error {
	t.Helper()
	service := otp.New(e.later(), wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: replace})
	return err
}
