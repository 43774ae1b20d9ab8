package otp_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// An activation is counted when inWebo may have heard of it: not before its finalize is sent, and whatever comes of it.
func TestWhatCountsAsAnActivation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at   stage
		n    inwebosim.Fault
		want int
	}{
		"setup refused":    {activateSetup, inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:STATE"}, 0},
		"setup lost":       {activateSetup, inwebosim.Fault{Kind: inwebosim.KindLostAnswer}, 0},
		"setup senseless":  {activateSetup, inwebosim.Fault{Kind: inwebosim.KindHTML}, 0},
		"finalize refused": {activateFinalize, inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:CODE"}, 1},
		"finalize lost":    {activateFinalize, inwebosim.Fault{Kind: inwebosim.KindLostRequest}, 1},
		"secret refused":   {msFinalize, inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:STATE"}, 1},
		"secret lost":      {msFinalize, inwebosim.Fault{Kind: inwebosim.KindLostAnswer}, 1},
	} {
		e := newEnrollee(t, usual)
		tt.n.Match = tt.at.match
		must(t, e.sim.Plant(tt.n))
		warning := limits()
		warning.Activations.Warn = 1
		service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), warning, nil)
		callerErr, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
		drained(t, service)
		if err == nil {
			t.Errorf("%s: enrolled", name)
		}
		if got := e.record(t).Activations; got != tt.want || callerErr != (otp.Activations{Tried: tt.want, FewLeft: tt.want > 0}) {
			t.Errorf("%s: %d activations, want %d; told %+v", name, got, tt.want, callerErr)
		}
	}
}

// From the warning on they are told, at the limit they are refused, and an operator may force one.
func TestActivationLimits(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	limited := generous()
	limited.Activations = otp.ActivationLimits{Warn: 2, Refuse: 3}
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limited, nil)
	defer drained(t, service)
	enroll := func(force bool) (otp.Activations, error) {
		return service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true, Force: force})
	}
	for _, want := range []otp.Activations{{Tried: 1}, {Tried: 2, FewLeft: true}, {Tried: 3, FewLeft: true, Exhausted: true}} {
		if got, err := enroll(false); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	before := e.row(t)
	if got, err := enroll(false); !errors.Is(err, otp.ErrActivations) || got != (otp.Activations{Tried: 3, FewLeft: true, Exhausted: true}) {
		t.Errorf("beyond the limit: %+v, %v", got, err)
	}
	if e.row(t).Revision != before.Revision {
		t.Error("a refused activation has changed the record")
	}
	if got, err := enroll(true); err != nil || got.Tried != 4 {
		t.Errorf("forced: %+v, %v", got, err)
	}
	must(t, service.Forget(t.Context(), e.request()))
	if _, err := enroll(false); !errors.Is(err, otp.ErrActivations) {
		t.Errorf("after forgetting the device: %v", err)
	}
}

// The pinmode is a bit mask, in which bit 1 says that the account has a PIN.
func TestHasPINByMode(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	for mode := range 16 {
		e.turn(t, func(k *inwebosim.Knobs) { k.PinMode = strconv.Itoa(mode) })
		if has, err := service.HasPIN(t.Context(), e.request(), smsCode); err != nil || has != (mode&1 == 1) {
			t.Errorf("pinmode %d: %v, %v", mode, has, err)
		}
	}
}

// What the account was asked for with an SMS code is audited, spends nothing and holds nothing.
func TestHasPIN(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, func(k *inwebosim.Knobs) { k.PinMode = "3" })
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	if has, err := service.HasPIN(t.Context(), e.request(), smsCode); err != nil || !has {
		t.Errorf("%v, %v", has, err)
	}
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindLostAnswer}))
	if has, err := service.HasPIN(t.Context(), e.request(), smsCode); err != nil || !has { // a setup may be asked once more
		t.Errorf("after a lost answer: %v, %v", has, err)
	}
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:NOK_BLOCKED"}))
	if _, err := service.HasPIN(t.Context(), e.request(), smsCode); !errors.Is(err, otp.ErrBlocked) {
		t.Errorf("of a blocked account: %v", err)
	}
	if e.hasRow() {
		t.Errorf("it leaves %+v of an account that had no record", e.record(t))
	}
	mustHaveLines(t, &e.device, "attempt", "outcome: done", "attempt", "outcome: done", "attempt", "outcome: "+string(otp.ReasonOf(otp.ErrBlocked)))
}

// What inWebo says of an account by an SMS code is remembered for display where there is a record, and changes nothing else.
func TestHasPINOfAnAccountWithARecord(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, func(k *inwebosim.Knobs) { k.PinMode = "3" })
	must(t, e.enroll(t, limits(), otp.EnrollRequest{}))
	before := e.record(t)
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	_, err := service.HasPIN(t.Context(), e.request(), smsCode)
	must(t, err)
	if r := e.record(t); r.Revision != before.Revision {
		t.Errorf("a setup that says nothing of the account has written its record: %+v", r)
	}
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:NOK_BLOCKED"}))
	if _, err := service.HasPIN(t.Context(), e.request(), smsCode); !errors.Is(err, otp.ErrBlocked) {
		t.Errorf("of a blocked account: %v", err)
	}
	r := e.record(t)
	if r.Activations != before.Activations || r.Lease != nil || r.InDoubt(time.Now()) || r.Blocking != otp.PINBlocked {
		t.Errorf("it leaves %+v", r)
	}
}

// timed is an inWebo that records how much time an activate setup has.
type timed struct {
	otp.Inwebo
	left time.Duration
}

func (c *timed) ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error) {
	deadline, _ := ctx.Deadline()
	c.left = time.Until(deadline)
	return c.Inwebo.ActivateSetup(ctx, code)
}

// What inWebo says by an SMS code is told only if it is audited, and there is time for that after the last answer.
func TestHasPINIsAudited(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	audited := 0
	store := &storetest.Breaking{Store: e.memory, Decide: func(c storetest.Call) storetest.Fault {
		if c.Verb != storetest.AppendAudit {
			return storetest.Fault{}
		}
		if audited++; audited == 1 {
			return storetest.Fault{}
		}
		return storetest.Fault{Err: errStoreFault}
	}}
	client := &timed{Inwebo: wire(t, e.sim.ProtocolURL(), time.Minute)}
	service := otp.New(store, client, limits(), nil)
	defer drained(t, service)
	if _, err := service.HasPIN(t.Context(), e.request(), smsCode); otp.CauseOf(err) != otp.ErrStore {
		t.Errorf("%v", err)
	}
	if client.left >= limits().Deadline {
		t.Errorf("inWebo has %v to answer", client.left)
	}
}

// A request for an SMS code, or a failed enrollment, tells of the way to inWebo what others do: a refusal is an answer.
func TestARefusedSetupIsAnAnswer(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	limited := cautious()
	limited.CircuitFaults, limited.CircuitTimeout = 2, time.Minute
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limited, nil)
	defer drained(t, service)
	check := func() error { _, err := service.HasPIN(t.Context(), e.request(), smsCode); return err }
	enroll := func() error {
		_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
		return err
	}
	noAnswer, refused := inwebosim.Fault{Kind: inwebosim.KindLostAnswer}, inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:STATE"}
	for i, step := range []struct {
		n    inwebosim.Fault
		call func() error
		want error
	}{
		{noAnswer, check, otp.ErrUnreachable},
		{refused, check, otp.ErrState},
		{noAnswer, enroll, otp.ErrUnreachable},
		{refused, enroll, otp.ErrState},
		{noAnswer, enroll, otp.ErrUnreachable},
		{noAnswer, check, otp.ErrUnreachable},
	} {
		must(t, e.sim.Plant(step.n))
		if err := step.call(); otp.CauseOf(err) != step.want {
			t.Errorf("step %d: %v, want %v", i+1, err, step.want)
		}
	}
	for _, call := range []func() error{check, enroll} {
		if err := call(); !errors.Is(err, otp.ErrCircuitOpen) {
			t.Errorf("after two faults in a row: %v", err)
		}
	}
}
