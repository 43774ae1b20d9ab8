package otp_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// foreign is a device that inWebo knows, as another client's file has it: with the secret, or closed.
func foreign(t *testing.T, e *enrollee, closed bool) otp.ForeignDevice {
	t.Helper()
	known := inwebosim.Device{
		ID: "0123456789abcdef", Serial: "phone/_/" + strings.Repeat("ab", 16), PIN: rightPIN.Reveal(), Secret: strings.Repeat("5e", 16),
		K0: strings.Repeat("0f", 16), K1: strings.Repeat("1f", 16), Services: []string{"4711"}, Tsync: 1_700_000_000,
	}
	must(t, e.sim.PlantDevice(known))
	e.id = known.ID
	drawn, err := hex.DecodeString(known.Secret)
	must(t, err)
	found := otp.ForeignDevice{
		Serial: ratchet.Serial(known.Serial), Identity: inwebo.Identity{ID: known.ID, LastSync: "1700000000"},
		Services: []inwebo.Service{{ID: "4711", Name: "PSA"}},
		State:    ratchet.State{Keys: ratchet.Keys{K0: secret.NewText(known.K0), K1: secret.NewText(known.K1)}, Secret: secret.NewBytes(drawn)},
	}
	if closed {
		found.State.Unopened = ratchet.NewKma(rightPIN, found.Serial).Secval(found.State.Secret)
		found.State.Secret = secret.Bytes{}
	}
	return found
}

func (e *enrollee) imported(t *testing.T, found otp.ForeignDevice) error {
	t.Helper()
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	return service.Import(t.Context(), e.request(), found)
}

// A device of another client makes OTPs here, with whatever key movement, and is in doubt until inWebo accepts it.
func TestImport(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		for _, movement := range movements {
			e := newEnrollee(t, func(k *inwebosim.Knobs) { k.Ratchet = movement })
			found := foreign(t, e, closed)
			must(t, e.imported(t, found))
			r := e.record(t)
			if r.Doubt == nil || r.Serial != found.Serial || r.Activations != 0 || r.Device.EnrolledAt.IsZero() || r.Step != 1 {
				t.Errorf("an imported device: %+v", r)
			}
			e.mustIssue(t)
			e.mustIssue(t)
			// Only a proof made with keys that the PIN had to open tells a right PIN from one that was not looked at.
			stays := closed && (movement == inwebosim.RatchetNone || movement == inwebosim.RatchetDK1)
			state := e.record(t).Device.State
			if e.record(t).Doubt != nil || state.Secret.IsEmpty() != stays || state.Unopened.IsEmpty() == stays {
				t.Errorf("%s: after two OTPs: %+v", movement, e.record(t))
			}
		}
	}
}

// The secret of a device that came without its PIN is opened by a PIN that inWebo accepts, and by no other.
func TestAWrongPINOpensNothing(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	found := foreign(t, e, true)
	must(t, e.imported(t, found))
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), generous(), nil)
	defer drained(t, service)
	if _, err := service.IssueOTP(t.Context(), e.request(), wrongPIN); otp.CauseOf(err) != otp.ErrInDoubt {
		t.Errorf("a wrong PIN: %v", err)
	}
	if state := e.record(t).Device.State; !state.Secret.IsEmpty() || !state.Unopened.Equal(found.State.Unopened) {
		t.Error("a wrong PIN has opened the secret")
	}
	atOnce := generous()
	atOnce.Guard.Pause = 0
	issued, err := e.issue(t, atOnce)
	mustVerify(t, &e.device, issued, err)
}

// At a server that does not check PINs, wrong ones never cost a device whose secret came closed: the right one verifies
// every time, also after wrong ones that were accepted.
func TestWrongPINsNeverCostAnImportedDevice(t *testing.T) {
	t.Parallel()
	for _, movement := range movements {
		t.Run(string(movement), func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, func(k *inwebosim.Knobs) { k.CheckPIN, k.Ratchet, k.WrongLimit = false, movement, 0 })
			must(t, e.imported(t, foreign(t, e, true)))
			unguarded := generous()
			unguarded.Guard.Attempts = 0
			service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), unguarded, nil)
			defer drained(t, service)
			for i, pin := range []secret.Text{wrongPIN, rightPIN, wrongPIN, wrongPIN, rightPIN, rightPIN, wrongPIN, rightPIN} {
				issued, err := service.IssueOTP(t.Context(), e.request(), pin)
				if pin.Equal(rightPIN) && (err != nil || !e.sim.Verify(issued.OTP.Reveal())) {
					t.Errorf("call %d: the right PIN gives %v, or an OTP that does not verify", i, err)
				}
			}
			if !e.inStep(t) || e.record(t).Doubt != nil {
				t.Errorf("in step %v, %+v", e.inStep(t), e.record(t))
			}
		})
	}
}

// An account that has a device keeps it, and half a device is none.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	found := foreign(t, e, false)
	for name, spoil := range map[string]func(*otp.ForeignDevice){
		"no id":       func(f *otp.ForeignDevice) { f.Identity.ID = "" },
		"no serial":   func(f *otp.ForeignDevice) { f.Serial = "" },
		"no service":  func(f *otp.ForeignDevice) { f.Services = nil },
		"no K0":       func(f *otp.ForeignDevice) { f.State.Keys.K0 = secret.Text{} },
		"no K1":       func(f *otp.ForeignDevice) { f.State.Keys.K1 = secret.Text{} },
		"no secret":   func(f *otp.ForeignDevice) { f.State.Secret = secret.Bytes{} },
		"two secrets": func(f *otp.ForeignDevice) { f.State.Unopened = f.State.Keys.K0 },
	} {
		half := found
		spoil(&half)
		if err := e.imported(t, half); !errors.Is(err, otp.ErrNotWhole) || e.hasRow() {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, e.imported(t, found))
	before := e.row(t)
	if err := e.imported(t, found); !errors.Is(err, otp.ErrAlreadyEnrolled) || e.row(t).Revision != before.Revision {
		t.Errorf("importing twice: %v", err)
	}
}

// After a failed enrollment, or a forgotten device, the account takes over the imported one with its serial; an enrollment
// after that keeps it.
func TestImportBringsItsSerial(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:CODE", Match: activateFinalize.match}))
	if err := e.enroll(t, limits(), otp.EnrollRequest{}); !errors.Is(err, otp.ErrSMSCode) {
		t.Fatal(err)
	}
	found := foreign(t, e, false)
	must(t, e.imported(t, found))
	e.mustIssue(t)
	must(t, e.enroll(t, limits(), otp.EnrollRequest{Replace: true}))
	if r := e.record(t); r.Serial != found.Serial || r.Doubt != nil || r.Activations != 2 {
		t.Errorf("after enrolling again: %+v", r)
	}
}
