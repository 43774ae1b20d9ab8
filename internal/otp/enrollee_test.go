package otp_test

import (
	"context"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

var smsCode = secret.NewText(inwebosim.DefaultCode)

// enrollee is an account that has no device yet, at a simulator of its own.
type enrollee struct {
	device // its id is known when the simulator knows the device
}

func newEnrollee(t testing.TB, turn func(*inwebosim.Knobs)) *enrollee {
	t.Helper()
	return &enrollee{device{sim: started(t, turn), account: "someone", memory: storetest.NewMemory()}}
}

func usual(*inwebosim.Knobs) {}

// turn turns knobs of a simulator that runs.
func (e *enrollee) turn(t testing.TB, turn func(*inwebosim.Knobs)) {
	t.Helper()
	knobs := e.sim.Knobs()
	turn(&knobs)
	must(t, e.sim.SetKnobs(knobs))
}

// enroll enrolls the account, in a process of its own, on its store and over sockets.
func (e *enrollee) enroll(t testing.TB, limits otp.Limits, how otp.EnrollRequest) error {
	t.Helper()
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits, nil)
	defer drained(t, service)
	how.SMSCode, how.PIN = smsCode, rightPIN
	_, err := service.Enroll(t.Context(), e.request(), how)
	return err
}

// mustEnroll enrolls the account, and has an OTP of the device verified.
func (e *enrollee) mustEnroll(t testing.TB, how otp.EnrollRequest) {
	t.Helper()
	if err := e.enroll(t, generous(), how); err != nil {
		t.Fatalf("enrolling: %v", err)
	}
	r := e.record(t)
	if r.Device == nil || r.Enrollment != nil || r.Lease != nil || r.Doubt != nil || r.Device.EnrolledAt.IsZero() {
		t.Fatalf("the record of an enrolled device is %+v", r)
	}
	e.id = r.Device.Identity.ID
	e.mustIssue(t)
}

// mustIssue has an OTP verified.
func (e *enrollee) mustIssue(t testing.TB) {
	t.Helper()
	issued, err := e.issue(t, generous())
	mustVerify(t, &e.device, issued, err)
	if !e.inStep(t) {
		t.Error("the device is not in step with the simulator")
	}
}

func (e *enrollee) issue(t testing.TB, limits otp.Limits) (otp.Issued, error) {
	t.Helper()
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits, nil)
	defer drained(t, service)
	return service.IssueOTP(t.Context(), e.request(), rightPIN)
}

// mustHaveOneSerial wants that inWebo was never shown a second serial.
func (e *enrollee) mustHaveOneSerial(t testing.TB) {
	t.Helper()
	stored := string(e.record(t).Serial)
	for _, x := range e.sim.History(inwebosim.Match{Action: "ActionFinalize", Mode: "activate"}) {
		if serial := x.Params.Get("serial"); serial != stored {
			t.Errorf("inWebo was shown the serial %q, and %q is stored", serial, stored)
		}
	}
	if ids := e.sim.DeviceIDs(); len(ids) > 1 {
		t.Errorf("the account has %d devices", len(ids))
	}
}

// hasRow reports whether the account has a record at all.
func (e *enrollee) hasRow() bool {
	_, _, err := e.memory.Fetch(context.Background(), e.account)
	return err == nil
}

// stage is an exchange of an enrollment.
type stage struct {
	exchange inwebo.Exchange
	match    inwebosim.Match
}

var (
	activateSetup    = stage{inwebo.ExchangeActivateSetup, inwebosim.Match{Action: "ActionSetup", Mode: "activate"}}
	activateFinalize = stage{inwebo.ExchangeActivateFinalize, inwebosim.Match{Action: "ActionFinalize", Mode: "activate"}}
	msFinalize       = stage{inwebo.ExchangeMSFinalize, inwebosim.Match{Action: "ActionFinalize", Mode: "ms"}}
)

var stages = []stage{activateSetup, activateFinalize, msFinalize}
