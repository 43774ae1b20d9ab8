package otp

import (
	"time"
)

// held is the record with a hold for the conversation, or why it cannot have one. It takes nothing that the account
// spends; see spent.
func (r Record) held(conversation string, now, until time.Time) (Record, error) {
	if r.LeasedAt(now) {
		return r, &Wait{ErrBusy, r.Hold.Until.Sub(now)}
	}
	if r.Hold != nil { // its holder died, or sleeps: what it sent is unknown
		if r.Device != nil {
			r.Doubt = r.Doubt.deeper(r.Hold.Until, r.Hold.Revision)
		}
		r = r.released()
	}
	r.Revision++
	r.Hold = &Hold{Conversation: conversation, Revision: r.Revision, Since: now, Until: until}
	return r, nil
}

// spent is the record with a guess and a unit taken for the conversation, so that a crash makes neither cheaper.
func (r Record) spent(conversation string, clock ClockReading, limits *Limits) (Record, error) {
	var err error
	if r.Guard, err = r.Guard.take(conversation, clock, limits.Guard); err != nil {
		return r, err
	}
	r.Quota, err = r.Quota.take(conversation, clock, r.Hold.Until, limits.OTPsPerDay)
	return r, err
}
