package otp_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// A device enrolls and makes OTPs, whatever the number of secrets and the movement of the keys.
func TestEnrol(t *testing.T) {
	t.Parallel()
	for _, secrets := range []int{1, 2, 4} {
		for _, movement := range movements {
			t.Run(fmt.Sprintf("ms_n %d/%s", secrets, movement), func(t *testing.T) {
				t.Parallel()
				e := newEnrollee(t, func(k *inwebosim.Knobs) { k.Secrets, k.Ratchet, k.SecretsMove = secrets, movement, true })
				var steps []otp.EnrollmentStep
				e.mustEnroll(t, otp.EnrollRequest{Progress: func(step otp.EnrollmentStep) { steps = append(steps, step) }})
				e.mustIssue(t)
				if want := []otp.EnrollmentStep{otp.StepOpen, otp.StepActivate, otp.StepSecret, otp.StepStore}; !slices.Equal(steps, want) {
					t.Errorf("the steps were %v", steps)
				}
				mustHaveLines(t, &e.device, "attempt", "outcome: done", "outcome: done", "attempt", "outcome: done", "attempt", "outcome: done")
				e.mustHaveOneSerial(t)
			})
		}
	}
}

// An activation that asks for no secret makes no device, says so, and costs the account nothing but the SMS code. A device
// that was there stays, in doubt.
func TestEnrolWithoutASecret(t *testing.T) {
	t.Parallel()
	for _, replace := range []bool{false, true} {
		e := newEnrollee(t, usual)
		var before otp.Record
		if replace {
			e.mustEnroll(t, otp.EnrollRequest{})
			before = e.record(t)
		}
		audited := e.lines(t)
		e.turn(t, func(k *inwebosim.Knobs) { k.Secrets = 0 })
		if err := e.enroll(t, limits(), otp.EnrollRequest{Replace: replace}); otp.CauseOf(err) != otp.ErrNoSecret {
			t.Errorf("enrolling: %v", err)
		}
		if r := e.record(t); !reflect.DeepEqual(r.Device, before.Device) || (r.Doubt != nil) != replace || r.Lease != nil {
			t.Errorf("it leaves %+v", r)
		}
		mustHaveLines(t, &e.device, append(audited, "attempt", "outcome: "+string(otp.ReasonOf(otp.ErrNoSecret)))...)
		e.mustGoOnUnenrolled(t, replace, true)
		e.turn(t, func(k *inwebosim.Knobs) { k.Secrets = 1 })
		e.mustEnroll(t, otp.EnrollRequest{Replace: replace})
		e.mustHaveOneSerial(t)
	}
}

// With several services one must be chosen, by id or by name; with one there is no choice.
func TestServices(t *testing.T) {
	t.Parallel()
	for services := range 3 {
		e := newEnrollee(t, func(k *inwebosim.Knobs) { k.Services = max(1, services) })
		must(t, e.enroll(t, limits(), otp.EnrollRequest{}))
		list := e.record(t).Device.Services
		if len(list) != max(1, services) {
			t.Fatalf("the services are %v", list)
		}
		last := list[len(list)-1]
		one := otp.ErrServiceChoice
		if len(list) == 1 {
			one = nil
		}
		for chosen, want := range map[string]error{"": one, last.ID: nil, last.Name: nil, "of no device": otp.ErrServiceChoice} {
			t.Run(fmt.Sprintf("of %d/%q", len(list), chosen), func(t *testing.T) {
				limits := generous()
				limits.ServiceID = chosen
				before := e.row(t)
				issued, err := e.issue(t, limits)
				if otp.CauseOf(err) != want {
					t.Fatalf("%v, want %v", err, want)
				}
				if want != nil {
					if e.row(t).Revision != before.Revision {
						t.Error("the record was changed")
					}
					return
				}
				mustVerify(t, &e.device, issued, err)
				asked := e.sim.History(inwebosim.Match{Mode: "otp"})
				if sid := asked[len(asked)-1].Params.Get("sid"); chosen != "" && sid != last.ID {
					t.Errorf("the OTP was asked for the service %s", sid)
				}
			})
		}
	}
}

// An account that is enrolled stays as it is, unless a new device is asked for.
func TestEnrolAgain(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	before, heard := e.row(t), len(e.sim.History(inwebosim.Match{}))
	if err := e.enroll(t, limits(), otp.EnrollRequest{}); otp.CauseOf(err) != otp.ErrAlreadyEnrolled {
		t.Errorf("enrolling again: %v", err)
	}
	if e.row(t).Revision != before.Revision || len(e.sim.History(inwebosim.Match{})) != heard {
		t.Error("that changed something")
	}
	first := e.record(t)
	e.mustEnroll(t, otp.EnrollRequest{Replace: true})
	if second := e.record(t); second.Device.State.Keys.K0.Equal(first.Device.State.Keys.K0) || second.Step <= first.Step || second.Activations != 2 {
		t.Errorf("after a new enrollment: %+v", second)
	}
	e.mustHaveOneSerial(t)
}

// A new enrollment ends a doubt and a lock, and a forgotten device comes back with the serial that it had.
func TestEnrollmentIsTheWayOut(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	must(t, service.Doubt(t.Context(), e.request()))
	e.mustEnroll(t, otp.EnrollRequest{Replace: true})

	clock := e.later()
	for range 2 {
		clock.advance(time.Minute)
		client := wire(t, e.sim.ProtocolURL(), time.Minute)
		if _, err := otp.New(clock, client, limits(), nil).IssueOTP(t.Context(), e.request(), wrongPIN); !errors.Is(err, otp.ErrPINRefused) {
			t.Fatal(err)
		}
	}
	if _, err := e.issue(t, limits()); !errors.Is(err, otp.ErrPINLocked) {
		t.Fatalf("after two wrong PINs: %v", err)
	}
	e.mustEnroll(t, otp.EnrollRequest{Replace: true})

	must(t, service.Forget(t.Context(), e.request()))
	if _, err := e.issue(t, limits()); !errors.Is(err, otp.ErrNoDevice) {
		t.Errorf("after forgetting: %v", err)
	}
	e.mustEnroll(t, otp.EnrollRequest{})
	e.mustHaveOneSerial(t)
}
