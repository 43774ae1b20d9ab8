package otp_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// rereadDevice plants a device whose kept answer was read again: it has the state after the answer, and that from before.
func rereadDevice(t *testing.T) *device {
	t.Helper()
	d := plant(t, started(t, usual), inwebosim.Override{Ratchet: inwebosim.RatchetDK1})
	if _, err := d.issueOnce(t, unread, rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
		t.Fatal(err)
	}
	if did := d.reread(t); did.Applied != 1 || !d.inStep(t) {
		t.Fatalf("reading it again did %+v, in step %v", did, d.inStep(t))
	}
	return d
}

// refusedWith asks for an OTP while inWebo refuses such requests with err. It returns the reason.
func (d *device) refusedWith(t *testing.T, err, action string) errcodes.Reason {
	t.Helper()
	must(t, d.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: err, Match: d.match(action), Times: 2}))
	defer d.sim.ClearFaults()
	service := otp.New(d.memory, wire(t, d.sim.ProtocolURL(), time.Minute), generous(), nil)
	defer drained(t, service)
	_, callerErr := service.IssueOTP(t.Context(), d.request(), rightPIN)
	return otp.ReasonOf(callerErr)
}

// A refusal that says nothing of a proof brings back no other state.
func TestRefusalsWithoutAProofChangeNoState(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err, action string
		reason      errcodes.Reason
	}{
		{"NOK:TIMEOUT", "ActionFinalize", errcodes.ReasonOperationTooSlow},
		{"NOK:TIMEOUT", "ActionSetup", errcodes.ReasonOperationTooSlow},
		{"NOK:STATE", "ActionSetup", errcodes.ReasonDeviceLost},
		{"NOK:FORBIDDEN", "ActionSetup", errcodes.ReasonDeviceLost},
	} {
		t.Run(row.action+" "+row.err, func(t *testing.T) {
			t.Parallel()
			d := rereadDevice(t)
			if reason := d.refusedWith(t, row.err, row.action); reason != row.reason {
				t.Errorf("the reason is %s, want %s", reason, row.reason)
			}
			if !d.inStep(t) {
				t.Error("the next proof is made with the other state")
			}
		})
	}
}

// No caller is told that a device is lost while it has a state that no proof has been made with.
func TestDeviceWithAnUntriedStateIsNotLost(t *testing.T) {
	t.Parallel()
	for _, err := range []string{"NOK:STATE", "NOK:FORBIDDEN"} {
		t.Run(err, func(t *testing.T) {
			t.Parallel()
			d := rereadDevice(t)
			if reason := d.refusedWith(t, err, "ActionFinalize"); reason != errcodes.ReasonDeviceInDoubt || d.inStep(t) {
				t.Errorf("with the state after the answer, the reason is %s, in step %v", reason, d.inStep(t))
			}
			if reason := d.refusedWith(t, err, "ActionFinalize"); reason != errcodes.ReasonDeviceLost || !d.inStep(t) {
				t.Errorf("with the state before it, the reason is %s, in step %v", reason, d.inStep(t))
			}
		})
	}
}
