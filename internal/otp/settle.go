package otp

import (
	"slices"
	"time"
)

// settleParams is what settling must know of a conversation.
type settleParams struct {
	conversation string
	rounds       int // accepted before this outcome
	enrolls      bool
	last         bool   // the conversation ends with this outcome
	left         Record // as the conversation last wrote it
}

// settled is the record after an outcome, whatever happened to the record meanwhile: another conversation may hold the
// device now, and its hold, guess and unit stay. The ratchet moves unless a later conversation moved it; superseded
// says that one did, or that the record has no such device any more.
//
// A record that does not know the conversation is not the one that the conversation left: it was restored, or deleted
// and made again. Its counters then began elsewhere, so only its device is compared, and a device that stays is in doubt.
func (r Record) settled(p settleParams, o outcome, now time.Time) (_ Record, superseded bool) {
	leased := r.heldBy(p.conversation)
	p.last = p.last || !leased // a conversation that has lost its hold sends nothing more
	by, known := r.holdOf(p.conversation)
	if known {
		superseded = r.MovedBy > by
	} else {
		r, superseded = r.regained(p), r.Step > p.left.Step
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
	return r.Device != nil && (sameDevice(r.Device, p.left.Device) || p.enrolls && r.Serial == p.left.Serial)
}

// moved is the record with what the outcome says of the device, and of the doubt about it.
func (r Record) moved(p settleParams, o outcome, by uint64, now time.Time) (_ Record, superseded bool) {
	if o.change != nil {
		next, fits := o.change.apply(r, p.left, now, by)
		if !fits {
			return r, true
		}
		if r = next; o.change.isStep() {
			r.Step, r.MovedBy = max(r.Step, p.left.Step)+1, max(r.MovedBy, by)
		}
	}
	switch {
	case p.enrolls: // the proofs of an activation say nothing of the device that the account has
	case o.fate == accepted, o.fate == done:
		r = r.confirmed()
	case o.refusesProof() && r.Device != nil && r.heldBy(p.conversation):
		device := r.Device.alternated()
		r.Device = &device
	}
	if o.unread != nil {
		r = r.kept(*o.unread, now)
	}
	switch {
	case (o.fate == lost || o.fate == done || o.unread != nil) && r.Device != nil:
		r.Doubt = r.Doubt.deeper(now, by)
	case o.fate == accepted && !p.enrolls && r.Doubt != nil && r.Doubt.By <= by:
		r.Doubt = nil
	}
	return r, false
}

// returned is the record with what the outcome gives back of the conversation's guess, unit and activation.
func (r Record) returned(p settleParams, o outcome, leased bool, now time.Time) Record {
	r.Guard = r.Guard.settled(p, o, leased, now)
	unspent := o.fate == unsent || o.fate == refused
	if p.last && unspent && p.rounds == 0 {
		r.Quota = r.Quota.giveBack(p.conversation)
	}
	if p.last && p.enrolls && o.fate == unsent && p.rounds == 0 {
		r.Activations = max(0, r.Activations-1)
	}
	if p.last && unspent && p.enrolls && r.Enrolment != nil && r.Enrolment.Phase == PhaseEnrolling {
		r.Enrolment = nil
	}
	return r
}

// maxOvertaken bounds the overtaken conversations that a record remembers. One that is forgotten settles like one of
// a record that was restored.
const maxOvertaken = 8

// holdOf returns the revision of the hold that the conversation has or had. known is false when this record never saw
// that hold; the revision is 0 then.
func (r *Record) holdOf(conversation string) (revision uint64, known bool) {
	if r.heldBy(conversation) {
		return r.Hold.Revision, true
	}
	for _, past := range r.Overtaken {
		if past.Conversation == conversation {
			return past.Revision, true
		}
	}
	return 0, false
}

// without is the record without the conversation's hold, or the memory of it.
func (r Record) without(conversation string) Record {
	if r.heldBy(conversation) {
		r.Hold = nil
	}
	r.Overtaken = slices.DeleteFunc(slices.Clone(r.Overtaken), func(past Overtaken) bool { return past.Conversation == conversation })
	return r
}

// released is the record without a hold. Its conversation is remembered, since it may still have an answer to settle.
func (r Record) released() Record {
	if r.Hold == nil {
		return r
	}
	overtaken := append(slices.Clone(r.Overtaken), Overtaken{r.Hold.Conversation, r.Hold.Revision})
	r.Overtaken = overtaken[max(0, len(overtaken)-maxOvertaken):]
	r.Hold = nil
	return r
}

// regained is a record that does not know the conversation, with what the conversation has taken of the account.
func (r Record) regained(p settleParams) Record {
	r.Guard = r.Guard.regain(p.conversation, p.left.Guard)
	r.Quota = r.Quota.regain(p.conversation, p.left.Quota)
	r.Activations = max(r.Activations, p.left.Activations)
	return r
}

// reborn is the first record of an account whose record was deleted while a conversation held it: the record as the
// conversation left it, with counters that begin again. Other conversations that held the deleted one are forgotten. A lease that
// is over is not the conversation's any more.
func (r Record) reborn(now time.Time) Record {
	r.Revision, r.MovedBy, r.Overtaken = 0, 0, nil
	if r.Doubt != nil {
		r.Doubt = &Doubt{Since: r.Doubt.Since}
	}
	if !r.LeasedAt(now) {
		r.Hold = nil
		return r
	}
	hold := *r.Hold // the record that follows carries it
	hold.Revision = 1
	r.Hold = &hold
	return r
}

// deeper is the doubt with one more conversation that caused it.
func (d *Doubt) deeper(now time.Time, by uint64) *Doubt {
	if d == nil {
		return &Doubt{Since: now, By: by}
	}
	return &Doubt{Since: d.Since, By: max(d.By, by)}
}

// settled is the guard after an outcome. A success forgives what was wrong before it, and not what came of a later
// conversation: a conversation that has lost its hold may be older than the last wrong PIN. The first half of an enrollment
// is no success: if the enrollment ends there, the account still has its old device, and inWebo what it counted of that.
func (g Guard) settled(p settleParams, o outcome, leased bool, now time.Time) Guard {
	switch {
	case o.wrongPIN:
		return g.refused(p.conversation, now)
	case o.fate == lost, o.mayCount:
		return g.lost(p.conversation)
	case (o.fate == accepted || o.fate == done) && leased && (p.last || !p.enrolls):
		g = g.accepted()
	}
	if p.last {
		g = g.giveBack(p.conversation)
	}
	return g
}
