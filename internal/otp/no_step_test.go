package otp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// An answer that counts no services leaves the device those that it has: without one it could be asked for nothing, and so
// no answer could ever add one again.
func TestAListOfNoServicesCostsNoDevice(t *testing.T) {
	t.Parallel()
	empty := []inwebosim.Field{{Name: "s_n", Value: "0"}}
	sim := started(t, usual)
	client := wire(t, sim.ProtocolURL(), time.Minute)
	for name, n := range map[string]inwebosim.Fault{
		"accepted": {Kind: inwebosim.KindExtra, Drop: []string{"s_n", "s_id", "s_name"}, Fields: empty},
		"refused":  {Kind: inwebosim.KindErr, Err: "NOK:STATE", Fields: empty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := plant(t, sim, inwebosim.Override{})
			n.Match = d.match("ActionFinalize")
			must(t, sim.Plant(n))
			_, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
			if (err == nil) != (name == "accepted") {
				t.Errorf("told %v", err)
			}
			issued, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
			mustVerify(t, d, issued, err)
		})
	}
	t.Run("enrolled", func(t *testing.T) {
		t.Parallel()
		e := newEnrollee(t, usual)
		must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindExtra, Match: msFinalize.match, Fields: empty}))
		e.mustEnroll(t, otp.EnrollRequest{})
	})
}

// carrying is a client whose refusals of a finalize carry what sync sets.
type carrying struct {
	otp.Inwebo
	sync func(*inwebo.Sync)
}

func (c *carrying) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	answer, err := c.Inwebo.OTPFinalize(ctx, who, sid, p)
	if refusal, ok := errors.AsType[*inwebo.Refusal](err); ok {
		c.sync(&refusal.Sync)
	}
	return answer, err
}

// keyless is what an answer can carry without a key.
var keyless = map[string]func(*inwebo.Sync){
	"services": func(s *inwebo.Sync) { s.Services, s.HasServices = []inwebo.Service{{ID: serviceID}}, true },
	"Tsync":    func(s *inwebo.Sync) { s.LastSync = fmt.Sprint(tsync + 1) },
	"J":        func(s *inwebo.Sync) { s.Offline.J = "0" },
}

// refuse asks for an OTP with keys that inWebo has left behind; its refusal carries what sync sets.
func (d *device) refuse(t *testing.T, sync func(*inwebo.Sync)) {
	t.Helper()
	service := otp.New(d.memory, &carrying{newBridge(d.sim), sync}, limits(), nil)
	defer drained(t, service)
	if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrInDoubt {
		t.Errorf("told %v", err)
	}
}

// A refusal that carries no key is no step: a kept answer still moves the device on, and so does one that is settled late.
func TestARefusalWithoutKeysIsNoStep(t *testing.T) {
	t.Parallel()
	sim := started(t, usual)
	for name, sync := range keyless {
		t.Run(name+", an answer is kept", func(t *testing.T) {
			t.Parallel()
			d := plant(t, sim, inwebosim.Override{Ratchet: inwebosim.RatchetDK1})
			if _, err := d.issueOnce(t, unread, rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
				t.Fatal(err)
			}
			d.refuse(t, sync)
			if did := d.reread(t); did.Applied != 1 || !d.inStep(t) {
				t.Errorf("reading it again did %+v, in step %v", did, d.inStep(t))
			}
		})
		t.Run(name+", an answer is late", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{Ratchet: inwebosim.RatchetDK1})
				_ = overtaken(t, d, true, func(*otp.Service) { d.refuse(t, sync) }, map[int64]storetest.Fault{})
				if r := d.record(t); r.Step != 1 || !d.inStep(t) {
					t.Errorf("in step %v, %+v", d.inStep(t), r)
				}
			})
		})
	}
}

// A finalize that is refused with a reason that is not documented may have counted as a wrong PIN. Its guess stays taken, so
// that no caller makes inWebo block the account.
func TestRefusalsThatAreNotDocumentedBlockNoAccount(t *testing.T) {
	t.Parallel()
	sim := started(t, usual)
	d := plant(t, sim, inwebosim.Override{})
	atOnce := limits()
	atOnce.Guard.Pause = 0
	client := &renamedRefusal{newBridge(sim)}
	for range 4 {
		service := otp.New(d.memory, client, atOnce, nil)
		_, err := service.IssueOTP(t.Context(), d.request(), wrongPIN)
		if cause := otp.CauseOf(err); cause != otp.ErrRefused && cause != otp.ErrPINHeldBack {
			t.Errorf("told %v", err)
		}
		drained(t, service)
	}
	if truth := d.truth(t); truth.Blocked || truth.WrongInARow != 2 {
		t.Errorf("inWebo counts %d wrong PINs, blocked %v", truth.WrongInARow, truth.Blocked)
	}
}

// renamedRefusal is a client to whom inWebo names no reason that is documented.
type renamedRefusal struct{ otp.Inwebo }

func (r *renamedRefusal) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	answer, err := r.Inwebo.OTPFinalize(ctx, who, sid, p)
	if refusal, ok := errors.AsType[*inwebo.Refusal](err); ok {
		refusal.Reason = inwebo.ReasonUnknown
	}
	return answer, err
}

// tooSlow is a client whose first finalize is refused as too slow, with a step that cannot be used.
type tooSlow struct {
	otp.Inwebo
	finalizes int
}

func (s *tooSlow) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	if s.finalizes++; s.finalizes > 1 {
		return s.Inwebo.OTPFinalize(ctx, who, sid, p)
	}
	return inwebo.OTPFinalize{}, &inwebo.Refusal{
		Exchange: inwebo.ExchangeOTPFinalize, Reason: inwebo.ReasonTimeout, Unusable: secret.NewBytes([]byte("<ActionFinalize/>")),
	}
}

// The fresh try after a TIMEOUT would be made with keys that inWebo may have left behind.
func TestNoFreshTryAfterAStepThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	sim := started(t, usual)
	d := plant(t, sim, inwebosim.Override{})
	client := &tooSlow{Inwebo: newBridge(sim)}
	if _, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrTooSlow {
		t.Errorf("told %v", err)
	}
	d.mustKeep(t, 1)
	if r := d.record(t); client.finalizes != 1 || r.Doubt == nil {
		t.Errorf("%d finalizes, and it leaves %+v", client.finalizes, r)
	}
}
