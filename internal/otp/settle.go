package otp

import (
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// chapter is what settling must know of a conversation.
type chapter struct {
	conversation string
	hold         uint64 // the revision of its hold
	rounds       int    // accepted before this outcome
	enrols       bool
	last         bool // the conversation ends with this outcome
}

// settled is the record after an outcome. It holds whatever happened to the record meanwhile: another conversation may
// hold the device now, and its hold, guess and unit stay. The ratchet moves unless a later conversation moved it;
// superseded says that one did.
func (r Record) settled(c chapter, o outcome, now time.Time) (_ Record, superseded bool) {
	superseded = r.MovedBy > c.hold
	held := r.heldBy(c.conversation)
	c.last = c.last || !held // who has lost the hold sends nothing more
	if !superseded {
		r = r.moved(c, o, now)
	}
	r.Guard = r.Guard.settled(c, o, held, now)
	returned := o.fate == unsent || o.fate == refused
	if c.last && returned && c.rounds == 0 {
		r.Quota = r.Quota.giveBack(c.conversation)
	}
	if c.last && c.enrols && o.fate == unsent && c.rounds == 0 {
		r.Activations = max(0, r.Activations-1)
	}
	if c.last && returned && c.enrols && r.Enrolment != nil && r.Enrolment.Phase == PhaseEnrolling {
		r.Enrolment = nil
	}
	if o.blocking != "" {
		r.Blocking = o.blocking
	}
	if c.last && held {
		r.Hold = nil
	}
	r.Revision++
	return r, superseded
}

// moved is the record with what the outcome says of the device, and of the doubt about it.
func (r Record) moved(c chapter, o outcome, now time.Time) Record {
	if o.remember != nil {
		r = o.remember(r, now)
		r.Step, r.MovedBy = r.Step+1, c.hold
	}
	switch {
	case o.fate == lost && r.Device != nil:
		r.Doubt = r.Doubt.deeper(now, c.hold)
	case o.fate == accepted && !c.enrols && r.Doubt != nil && r.Doubt.By <= c.hold:
		r.Doubt = nil
	}
	return r
}

// deeper is the doubt with one more conversation that caused it.
func (d *Doubt) deeper(now time.Time, by uint64) *Doubt {
	if d == nil {
		return &Doubt{Since: now, By: by}
	}
	return &Doubt{Since: d.Since, By: max(d.By, by)}
}

// synced is the device after an answer (inwebo-protocol.md §4); what the answer leaves empty stays.
func (d Device) synced(sync inwebo.Sync, state ratchet.State) Device {
	d.State = state
	keep(&d.Identity.ID, sync.ID)
	keep(&d.Identity.LastSync, sync.LastSync)
	keep(&d.Offline.J, sync.Offline.J)
	keep(&d.Offline.K, sync.Offline.K)
	keep(&d.Offline.H, sync.Offline.H)
	if sync.HasServices {
		d.Services = sync.Services
	}
	return d
}

func keep(field *string, news string) {
	if news != "" {
		*field = news
	}
}

// settled is the guard after an outcome. A success forgives what was wrong before it, and not what came of a later
// conversation: a conversation that has lost its hold may be older than the last wrong PIN.
func (g Guard) settled(c chapter, o outcome, held bool, now time.Time) Guard {
	switch {
	case o.wrongPIN:
		return g.refused(c.conversation, now)
	case o.fate == lost:
		return g.lost(c.conversation)
	case o.fate == accepted && held:
		g = g.accepted()
	}
	if c.last {
		g = g.giveBack(c.conversation)
	}
	return g
}
