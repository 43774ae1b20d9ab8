package otp

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// maxUnread is how many answers a record keeps that could not be read.
const maxUnread = 2

// UnreadAnswer is inWebo's answer to a finalize that could not be read, or whose ratchet step cannot be used. It may carry a
// step that exists nowhere else, so it is kept, sealed, for a pimsd that can read it: see Service.Reread.
type UnreadAnswer struct {
	Exchange inwebo.Exchange
	At       time.Time
	// Step is that of the record whose device the answer moves on.
	Step uint64
	// Accepted reports whether the answer says at least that inWebo did what was asked.
	Accepted bool
	// Cut reports whether the answer lacks its end.
	Cut    bool
	Answer secret.Bytes // as it arrived, at most 64 KiB
}

// withUnread returns the record with an answer that could not be read. Of the answers to one exchange at one step it keeps the one of most
// worth, the newest at equal worth. As exchanges are kept apart, an answer to an enrollment replaces none about the device that the account
// has. In all, it keeps the maxUnread that were added last.
func (r Record) withUnread(answer UnreadAnswer, now time.Time) Record {
	answer.At, answer.Step = now, r.Step
	unread := slices.Clone(r.Unread)
	i := slices.IndexFunc(unread, func(other UnreadAnswer) bool {
		return other.Step == r.Step && other.Exchange == answer.Exchange
	})
	switch {
	case i >= 0 && unread[i].worth() > answer.worth():
		return r
	case i >= 0:
		unread = slices.Delete(unread, i, i+1)
	}
	unread = append(unread, answer)
	r.Unread = unread[max(0, len(unread)-maxUnread):]
	return r
}

// worth orders the answers that can be kept for one step and exchange: one that says OK is worth more than one of which that is not known,
// and of two such, a whole one more than one that was cut.
func (u UnreadAnswer) worth() int {
	worth := 0
	if u.Accepted {
		worth += 2
	}
	if !u.Cut {
		worth++
	}
	return worth
}

// Fallback is another state that the device may have: one of the two is the state before a kept answer was read again, the
// other the state after it. A proof that inWebo accepts decides between them, one that it refuses lets them change places.
type Fallback struct {
	State ratchet.State
	// Before reports that this state, and not the device's own, is the state before the answer.
	Before bool
	Step   uint64 // of the record, before the answer; noStep when an answer to a later proof has moved the device
}

// confirmed returns r after inWebo accepted a proof of the device's state: unread answers and another state are not needed any more.
func (r Record) confirmed() Record {
	r.Unread = nil
	if r.Device != nil && (r.Device.Fallback != nil || r.Device.Unconfirmed) {
		device := *r.Device
		device.Fallback, device.Unconfirmed = nil, false
		r.Device = &device
	}
	return r
}

// noStep is the Step of a Fallback whose device has moved on since: no kept answer fits.
const noStep = math.MaxUint64

// withKeptAnswersOutdated returns r, whose device has just made a step, so that no kept answer is applied to the state before the step in
// its place.
func (r Record) withKeptAnswersOutdated() Record {
	if r.Device != nil && r.Device.Fallback != nil {
		device, other := *r.Device, *r.Device.Fallback
		other.Step = noStep
		device.Fallback, r.Device = &other, &device
	}
	return r
}

// withOtherState returns the device with its state and its other state exchanged, after inWebo refused a proof that was made with the
// first. A device without another state stays as it is.
func (d Device) withOtherState() Device {
	if d.Fallback != nil {
		d.State, d.Fallback = d.Fallback.State, &Fallback{State: d.State, Before: !d.Fallback.Before, Step: d.Fallback.Step}
	}
	return d
}

// hasUntriedState reports whether the device has another state that no proof has been made with since a kept answer was read
// again: the state after the answer is tried first.
func (d *Device) hasUntriedState() bool { return d.Fallback != nil && d.Fallback.Before }

// stateAt returns the state from which an answer that was kept at that step moves the device on, and reports whether the device has it. The
// device must not be nil. If a kept answer was applied, this is the state before it, so that another answer to the same step can be
// applied instead.
func (r *Record) stateAt(step uint64) (ratchet.State, bool) {
	switch other := r.Device.Fallback; {
	case other == nil:
		return r.Device.State, step == r.Step
	case other.Before:
		return other.State, step == other.Step
	default: // a refused proof has exchanged the two: the device's own state is the one before the answer
		return r.Device.State, step == other.Step
	}
}

// errNothingKept ends the reading of a record that keeps no answer.
var errNothingKept = errors.New("no answer is kept")

// actionReread is the audit log's word for reading kept answers again.
const actionReread = "reread"

// Reread is what became of the kept answers of an account. It says nothing of their content.
type Reread struct {
	Unread     int  `json:"kept"`       // answers that there were
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
// state for the next one. ErrNoDevice means that the account has no record.
func (s *Service) Reread(ctx context.Context, request Request) (Reread, error) {
	c, err := s.enter(ctx, request, actionReread, s.limits.Deadline)
	if err != nil {
		return Reread{}, err
	}
	defer s.finish(c)
	var done Reread
	err = s.changeRecordAs(ctx, c, StageOutcome, func(r Record, now time.Time) (Record, string, error) {
		if r.isFirst() {
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

// word is the outcome of a rereading in the audit log.
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

// reread returns r after its kept answers were read again, the oldest first.
func (r Record) reread(now time.Time, name string) (Record, Reread) {
	did := Reread{Unread: len(r.Unread)}
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

// completed returns r with the device whose enrollment the answer to its ms finalize completes, and reports whether it does. inWebo
// accepted the PIN when the answer was sent, so the guard forgives what was counted until then. The state before the answer becomes the
// other state of the device.
func (r Record) completed(answer UnreadAnswer, reading inwebo.Reading, now time.Time, name string) (Record, bool) {
	if !reading.Accepted || !r.isCompletedBy(answer) {
		return r, false
	}
	device := r.Enrollment.Device
	device = device.synced(reading.Sync, device.State.Told(reading.Sync.Move))
	if len(device.Services) == 0 {
		return r, false
	}
	device.Name, device.EnrolledAt, device.Unconfirmed = name, now, true
	device.Fallback = &Fallback{State: r.Enrollment.Device.State, Before: true, Step: r.Step}
	r.Device, r.Enrollment, r.Guard, r.Doubt = &device, nil, r.Guard.forgiveUntil(answer.At), nil
	return r.reconsidered(now), true
}

// isCompletedBy reports whether the answer, if inWebo accepted with it, completes the enrollment of r.
func (r *Record) isCompletedBy(answer UnreadAnswer) bool {
	return answer.Exchange == inwebo.ExchangeMSFinalize && answer.Step == r.Step &&
		r.Enrollment != nil && r.Enrollment.Phase == PhaseActivated
}

// mayBeCompleted reports whether an answer is kept that may complete the enrollment of r.
func (r *Record) mayBeCompleted() bool { return slices.ContainsFunc(r.Unread, r.isCompletedBy) }

// movedOn returns r with its device moved on by the answer, and reports whether the answer fits. The state before the answer becomes the
// other state of the device.
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

// reconsidered returns r, which has the revision of the next write, after an answer of the past was applied to it. The device is in doubt,
// and an answer that is still on its way to a conversation is superseded.
func (r Record) reconsidered(now time.Time) Record {
	r.Step, r.MovedBy = r.Step+1, r.Revision
	return r.withDoubt(now, r.Revision)
}
