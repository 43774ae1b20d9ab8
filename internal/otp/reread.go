package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebo"
)

// actionReread is the audit log's word for reading kept answers again.
const actionReread = "reread"

// Reread is what became of the kept answers of an account. It says nothing of their content.
type Reread struct {
	Kept       int  `json:"kept"`       // answers that there were
	Applied    int  `json:"applied"`    // that moved the device on
	Enrolled   bool `json:"enrolled"`   // one of them completed an enrollment
	Refusals   int  `json:"refusals"`   // that turned out to be refusals, and moved nothing
	Outdated   int  `json:"outdated"`   // that the device has gone on from
	Unreadable int  `json:"unreadable"` // that this pimsd cannot read either
	NeedsPIN   int  `json:"needsPIN"`   // to an activation, which only a new enrollment with PIN and SMS code can complete
}

// Reread reads the account's kept answers again, as a newer pimsd may be able to. It applies one only if the record still
// stands at the step that the answer moves on from. No PIN is at hand: keys that arrived encrypted stay as sent. The state
// before is kept, and the device is in doubt, until inWebo accepts a proof; a proof that it refuses brings back the other
// state for the next one. ErrNoDevice says that the account has no record.
func (s *Service) Reread(ctx context.Context, ask Ask) (Reread, error) {
	c, err := s.enter(ctx, ask, actionReread, s.limits.Deadline)
	if err != nil {
		return Reread{}, err
	}
	defer s.finish(c)
	var done Reread
	err = s.noteWord(ctx, c, StageOutcome, func(r Record, now time.Time) (Record, string, error) {
		if r.Revision == 1 {
			return r, "", ErrNoDevice
		}
		if len(r.Unread) == 0 {
			done = Reread{}
			return r, "", errNothingKept
		}
		r, done = r.reread(now, s.limits.DeviceName)
		return r, done.word(), nil
	})
	if errors.Is(err, errNothingKept) {
		err = nil
	}
	return done, err
}

// word is what the audit log says of a rereading.
func (d Reread) word() string {
	switch {
	case d.Applied > 0:
		return outcomeDone
	case d.Unreadable > 0 || d.NeedsPIN > 0:
		return string(errcodes.ReasonAnswerUnreadable)
	default:
		return "nothing to apply"
	}
}

// reread is the record after its kept answers were read again, the oldest first.
func (r Record) reread(now time.Time, name string) (Record, Reread) {
	did := Reread{Kept: len(r.Unread)}
	for _, answer := range r.Unread {
		reading, err := inwebo.ReadAnswer(answer.Exchange, answer.Answer)
		switch {
		case err != nil:
			did.Unreadable++
			continue
		case answer.Exchange == inwebo.ExchangeActivateFinalize && reading.Accepted:
			did.NeedsPIN++
			continue
		case !reading.Accepted && reading.Sync.Move.IsEmpty():
			did.Refusals++
			continue
		}
		next, applied := r.completed(answer, reading, now, name)
		did.Enrolled = did.Enrolled || applied
		if !applied {
			next, applied = r.movedOn(answer, reading, now)
		}
		if !applied {
			did.Outdated++
			continue
		}
		did.Applied++
		r = next
	}
	return r, did
}

// completed is the record whose enrollment is through with the answer to its ms finalize.
func (r Record) completed(answer UnreadAnswer, reading inwebo.Reading, now time.Time, name string) (Record, bool) {
	fits := answer.Exchange == inwebo.ExchangeMSFinalize && reading.Accepted && answer.Step == r.Step &&
		r.Enrolment != nil && r.Enrolment.Phase == PhaseActivated
	if !fits {
		return r, false
	}
	device := r.Enrolment.Device
	device = device.synced(reading.Sync, device.State.Told(reading.Sync.Move))
	if len(device.Services) == 0 {
		return r, false
	}
	device.Name, device.EnrolledAt, device.Unconfirmed = name, now, true
	device.Fallback = &Fallback{State: r.Enrolment.Device.State, Before: true, Step: r.Step}
	r.Device, r.Enrolment, r.Guard, r.Doubt = &device, nil, r.Guard.acceptedAt(answer.At), nil
	return r.reconsidered(now), true
}

// movedOn is the record whose device has the step of the answer.
func (r Record) movedOn(answer UnreadAnswer, reading inwebo.Reading, now time.Time) (Record, bool) {
	if r.Device == nil || answer.Exchange == inwebo.ExchangeActivateFinalize {
		return r, false
	}
	before, fits := r.stateAt(answer.Step)
	if !fits || !before.HasRoomFor(reading.Sync.Move) {
		return r, false
	}
	device := r.Device.synced(reading.Sync, before.Told(reading.Sync.Move))
	device.Fallback = &Fallback{State: before, Before: true, Step: answer.Step}
	r.Device = &device
	return r.reconsidered(now), true
}

// reconsidered is the record after an answer of the past was applied: no answer that is still on its way fits any more, and
// the device is in doubt.
func (r Record) reconsidered(now time.Time) Record {
	r.Step, r.MovedBy = r.Step+1, r.Revision
	r.Doubt = r.Doubt.deeper(now, r.Revision)
	return r
}
