package otp

import (
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// change is what an answer of inWebo changes in the record of a device. It is a value: settling applies it to the record as that is
// stored by then, perhaps several times.
type change interface {
	// apply returns r with the change. written is the record as the conversation last wrote it: r may have been deleted, restored or
	// replaced since. leaseRevision is that of the conversation's lease. apply reports false, and changes nothing, when the device of r
	// is not the one that the answer is about.
	apply(r Record, written *Record, now time.Time, leaseRevision uint64) (_ Record, fits bool)
	// isStep reports whether the change is a step of the ratchet, from which no earlier answer moves the device on.
	isStep() bool
}

// deviceMoved is the change by an answer to an OTP call: it may move the ratchet of the account's device.
type deviceMoved struct {
	sync   inwebo.Sync
	proven *proven // nil: the answer accepted no proof
	issues bool    // the answer makes an OTP
}

// proven describes a proof, and in a change an accepted one: the keys that it was made with.
type proven struct {
	keys ratchet.Keys
	kma  ratchet.Kma
	pin  bool // the proof has confirmed the PIN that kma was derived from
}

// openedBy returns what a proof of the record's device is made with when the user typed that PIN.
func (r *Record) openedBy(pin secret.Text) *proven {
	kma := ratchet.NewKma(pin, r.Serial)
	return &proven{r.Device.State.Open(kma), kma, r.Device.State.NeedsPIN()}
}

func (m *deviceMoved) apply(r Record, written *Record, now time.Time, leaseRevision uint64) (_ Record, fits bool) {
	if r.Device == nil || !sameDevice(r.Device, written.Device) {
		return r, false
	}
	state := r.Device.State
	switch {
	case m.proven != nil:
		state = m.after(state)
	case !state.HasRoomFor(m.sync.Move): // inWebo may have made the step, which cannot be kept
		r = r.withDoubt(now, leaseRevision)
		return r, true
	default:
		state = state.Told(m.sync.Move)
	}
	device := r.Device.synced(m.sync, state)
	if m.issues {
		device.LastOTPAt = now
	}
	r.Device = &device
	return r, true
}

// isStep returns false for a refusal that carries no keys: the device keeps its keys.
func (m *deviceMoved) isStep() bool { return m.proven != nil || !m.sync.Move.IsEmpty() }

// after returns the state that the device has with the accepted answer m.
func (m *deviceMoved) after(state ratchet.State) ratchet.State {
	state = state.Accepted(m.proven.keys, m.sync.Move)
	if m.proven.pin {
		state = state.Opened(m.proven.kma)
	}
	return state
}

// otpOf returns the OTP that an accepted answer makes: of K1 as the answer leaves it, and of the secret.
func (m *deviceMoved) otpOf(state ratchet.State, defi string) secret.Text {
	state = m.after(state)
	return ratchet.OTP(state.Open(m.proven.kma).K1, defi, state.Secval(m.proven.kma))
}

// activated is the change by the answer to an activate finalize: inWebo knows the new device, which has no secret yet.
type activated struct {
	device    Device
	challenge string
}

func (a activated) apply(r Record, written *Record, now time.Time, leaseRevision uint64) (_ Record, fits bool) {
	if !sameDevice(r.Device, written.Device) {
		return r, false
	}
	r.Serial = written.Serial
	if !r.sealed.IsEmpty() { // a device without keys at hand cannot be stored with the keys of another
		r = r.withoutSealed()
		r.Device = nil
	}
	r.Enrollment = &Enrollment{Phase: PhaseActivated, Device: a.device, Challenge: a.challenge}
	return r.withDoubt(now, leaseRevision), true // inWebo may not know the old one any more
}

func (activated) isStep() bool { return true }

// enrolled is the change by the answer to an ms finalize: the device can make OTPs.
type enrolled struct {
	device Device
	// inDoubt means that the answer may have moved the device beyond what is known of it.
	inDoubt bool
}

func (e enrolled) apply(r Record, written *Record, now time.Time, leaseRevision uint64) (_ Record, fits bool) {
	if !sameDevice(r.Device, written.Device) {
		return r, false
	}
	device := e.device
	device.EnrolledAt, device.Unconfirmed = now, e.inDoubt
	r = r.withoutSealed()
	r.Serial = written.Serial
	r.Device, r.Enrollment, r.Unread, r.Doubt = &device, nil, nil, nil
	if e.inDoubt {
		r = r.withDoubt(now, leaseRevision)
	}
	return r, true
}

func (enrolled) isStep() bool { return true }

// displaced is the change by an answer about a device that another account has now: it changes nothing here.
type displaced struct{}

func (displaced) apply(r Record, _ *Record, _ time.Time, _ uint64) (Record, bool) { return r, false }

func (displaced) isStep() bool { return false }

// sameDevice reports whether the two came of one enrollment or import; two records without a device agree, too.
func sameDevice(a, b *Device) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Origin == b.Origin
}

// synced returns the device after an answer (docs/protocol.md §4). A field that the answer leaves empty keeps its value.
func (d Device) synced(sync inwebo.Sync, state ratchet.State) Device {
	d.State = state
	setUnlessEmpty(&d.Identity.ID, sync.ID)
	setUnlessEmpty(&d.Identity.LastSync, sync.LastSync)
	setUnlessEmpty(&d.Offline.J, sync.Offline.J)
	setUnlessEmpty(&d.Offline.K, sync.Offline.K)
	setUnlessEmpty(&d.Offline.H, sync.Offline.H)
	if sync.HasServices || len(d.Services) == 0 { // a list that does not add up is better than none
		d.Services = sync.Services
	}
	return d
}

func setUnlessEmpty(field *string, value string) {
	if value != "" {
		*field = value
	}
}
