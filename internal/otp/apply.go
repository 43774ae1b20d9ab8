package otp

import (
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// settleParams is what settling must know of a conversation.
type settleParams struct {
	conversation string
	rounds       int // accepted before this outcome
	enrolls      bool
	last         bool   // the conversation ends with this outcome
	written      Record // as the conversation last wrote it
}

// settleParams is what settling an outcome must know of the conversation.
func (c *conversation) settleParams(last bool) settleParams {
	return settleParams{
		conversation: c.id, rounds: c.rounds, enrolls: c.action == actionEnroll, last: last, written: c.record,
	}
}

// settled is the record after an outcome, whatever happened to the record meanwhile: another conversation may hold the
// device now, and its hold, guess and unit stay. The ratchet moves unless a later conversation moved it; superseded
// says that one did, or that the record has no such device any more.
//
// A record that does not know the conversation is not the one that the conversation left: it was restored, or deleted
// and made again. Its counters then began elsewhere, so only its device is compared, and a device that stays is in doubt.
func (r Record) settled(p settleParams, o outcome, now time.Time) (_ Record, superseded bool) {
	leased := r.isLeasedBy(p.conversation)
	p.last = p.last || !leased // a conversation that has lost its hold sends nothing more
	by, known := r.leaseOf(p.conversation)
	if known {
		superseded = r.MovedBy > by
	} else {
		r, superseded = r.regained(p), r.Step > p.written.Step
	}
	if !superseded {
		r, superseded = r.moved(p, o, by, now)
	}
	if !known && o.mayMove() && p.isAbout(r) {
		r.Doubt = r.Doubt.deeper(now, by)
	}
	r = r.returned(p, o, leased, now)
	if o.blocking != "" {
		r.Blocking = o.blocking
	}
	if p.last {
		r = r.without(p.conversation)
	}
	r.Revision++
	return r, superseded
}

// isAbout reports whether an answer to the conversation may be about the device of r. An activation gives other keys to whatever
// device has its serial.
func (p settleParams) isAbout(r Record) bool {
	return r.Device != nil && (sameDevice(r.Device, p.written.Device) || p.enrolls && r.Serial == p.written.Serial)
}

// moved is the record with what the outcome says of the device, and of the doubt about it.
func (r Record) moved(p settleParams, o outcome, by uint64, now time.Time) (_ Record, superseded bool) {
	if o.change != nil {
		next, fits := o.change.apply(r, p.written, now, by)
		if !fits {
			return r, true
		}
		if r = next; o.change.isStep() {
			r.Step, r.MovedBy = max(r.Step, p.written.Step)+1, max(r.MovedBy, by)
		}
	}
	switch {
	case p.enrolls: // the proofs of an activation say nothing of the device that the account has
	case o.result == accepted, o.result == done:
		r = r.confirmed()
	case o.refusesProof() && r.Device != nil && r.isLeasedBy(p.conversation):
		device := r.Device.alternated()
		r.Device = &device
	}
	if o.unread != nil {
		r = r.kept(*o.unread, now)
	}
	switch {
	case (o.result == noAnswer || o.result == done || o.unread != nil) && r.Device != nil:
		r.Doubt = r.Doubt.deeper(now, by)
	case o.result == accepted && !p.enrolls && r.Doubt != nil && r.Doubt.By <= by:
		r.Doubt = nil
	}
	return r, false
}

// returned is the record with what the outcome gives back of the conversation's guess, unit and activation.
func (r Record) returned(p settleParams, o outcome, leased bool, now time.Time) Record {
	r.Guard = r.Guard.settled(p, o, leased, now)
	unspent := o.result == neverSent || o.result == refused
	if p.last && unspent && p.rounds == 0 {
		r.Quota = r.Quota.release(p.conversation)
	}
	if p.last && p.enrolls && o.result == neverSent && p.rounds == 0 {
		r.Activations = max(0, r.Activations-1)
	}
	if p.last && unspent && p.enrolls && r.Enrollment != nil && r.Enrollment.Phase == PhaseEnrolling {
		r.Enrollment = nil
	}
	return r
}

// regained is a record that does not know the conversation, with what the conversation has taken of the account.
func (r Record) regained(p settleParams) Record {
	r.Guard = r.Guard.regain(p.conversation, p.written.Guard)
	r.Quota = r.Quota.regain(p.conversation, p.written.Quota)
	r.Activations = max(r.Activations, p.written.Activations)
	return r
}

// change is what an answer of inWebo changes of a device.
type change interface {
	// apply returns r with the change. left is the record as the conversation last wrote it: r may have been deleted,
	// restored or replaced since. by is the revision of the conversation's hold. apply reports false, and changes nothing,
	// when the device of r is not the one that the answer is about.
	apply(r, written Record, now time.Time, by uint64) (Record, bool)
	// isStep reports whether the change is a step of the ratchet, from which no earlier answer moves the device on.
	isStep() bool
}

// moved is an answer about the account's device.
type moved struct {
	sync   inwebo.Sync
	proven *proven // nil: the answer accepted no proof
	issues bool    // the answer makes an OTP
}

// proven is what a proof was made with that inWebo accepted.
type proven struct {
	keys ratchet.Keys
	kma  ratchet.Kma
	pin  bool // the proof has confirmed the PIN behind kma
}

func (m moved) apply(r, written Record, now time.Time, by uint64) (Record, bool) {
	if r.Device == nil || !sameDevice(r.Device, written.Device) {
		return r, false
	}
	state := r.Device.State
	switch {
	case m.proven != nil:
		state = m.after(state)
	case !state.HasRoomFor(m.sync.Move): // inWebo may have made the step, which cannot be kept
		r.Doubt = r.Doubt.deeper(now, by)
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

// isStep returns false for a refusal that carries no keys: the keys of the device are those of before.
func (m moved) isStep() bool { return m.proven != nil || !m.sync.Move.IsEmpty() }

// after returns the state that the device has with the accepted answer m.
func (m moved) after(state ratchet.State) ratchet.State {
	state = state.Accepted(m.proven.keys, m.sync.Move)
	if m.proven.pin {
		state = state.Opened(m.proven.kma)
	}
	return state
}

// otpOf returns the OTP that an accepted answer makes: of K1 as the answer leaves it, and of the secret.
func (m moved) otpOf(state ratchet.State, defi string) secret.Text {
	state = m.after(state)
	return ratchet.OTP(state.Open(m.proven.kma).K1, defi, state.Secval(m.proven.kma))
}

// activated is the answer to an activate finalize: inWebo knows the device, which lacks its secret.
type activated struct {
	device    Device
	challenge string
}

func (a activated) apply(r, written Record, now time.Time, by uint64) (Record, bool) {
	if !sameDevice(r.Device, written.Device) {
		return r, false
	}
	r.Serial = written.Serial
	if !r.sealed.IsEmpty() { // a device without keys at hand cannot be stored with the keys of another
		r = r.withoutSealed()
		r.Device = nil
	}
	r.Enrollment = &Enrollment{Phase: PhaseActivated, Device: a.device, Challenge: a.challenge}
	if r.Device != nil { // inWebo may know the old one no more
		r.Doubt = r.Doubt.deeper(now, by)
	}
	return r, true
}

func (activated) isStep() bool { return true }

// enrolled is the answer to an ms finalize: the device can make OTPs.
type enrolled struct {
	device Device
	// doubtful says that the answer may have moved the device beyond what is known of it.
	wasInDoubt bool
}

func (e enrolled) apply(r, written Record, now time.Time, by uint64) (Record, bool) {
	if !sameDevice(r.Device, written.Device) {
		return r, false
	}
	device := e.device
	device.EnrolledAt, device.Unconfirmed = now, e.wasInDoubt
	r = r.withoutSealed()
	r.Serial = written.Serial
	r.Device, r.Enrollment, r.Unread, r.Doubt = &device, nil, nil, nil
	if e.wasInDoubt {
		r.Doubt = r.Doubt.deeper(now, by)
	}
	return r, true
}

func (enrolled) isStep() bool { return true }

// displaced is an answer about a device that another account has by now.
type displaced struct{}

func (displaced) apply(r, _ Record, _ time.Time, _ uint64) (Record, bool) { return r, false }

func (displaced) isStep() bool { return false }

// sameDevice reports whether the two came of one enrollment or import; two records without a device agree, too.
func sameDevice(a, b *Device) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Origin == b.Origin
}

// synced is the device after an answer (docs/protocol.md §4); what the answer leaves empty stays.
func (d Device) synced(sync inwebo.Sync, state ratchet.State) Device {
	d.State = state
	responseToStore(&d.Identity.ID, sync.ID)
	responseToStore(&d.Identity.LastSync, sync.LastSync)
	responseToStore(&d.Offline.J, sync.Offline.J)
	responseToStore(&d.Offline.K, sync.Offline.K)
	responseToStore(&d.Offline.H, sync.Offline.H)
	if sync.HasServices || len(d.Services) == 0 { // a list that does not add up is better than none
		d.Services = sync.Services
	}
	return d
}

func responseToStore(field *string, news string) {
	if news != "" {
		*field = news
	}
}
