package otp

import (
	"errors"
	"slices"
	"time"

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

// unreadable is the outcome of a finalize whose answer could not be read.
func unreadable(err *inwebo.Unreadable) outcome {
	o := outcome{fate: lost, err: because(ErrUnreadable, err), finalized: true}
	if err.Accepted {
		o.fate = done
	}
	if err.Blocked {
		o.blocking = PINBlocked
	}
	o.unread = &UnreadAnswer{Exchange: err.Exchange, Accepted: err.Accepted, Cut: err.Cut, Answer: err.Answer}
	return o
}

// kept returns the record with an answer that could not be read. It keeps one for each step and exchange, and the newest of
// them: the answer to an enrollment replaces none about the device that the account has. Of two to one exchange, one that says
// OK is worth more than one of which that is not known, and then a whole one more than one that was cut.
func (r Record) kept(answer UnreadAnswer, now time.Time) Record {
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

// worth orders the answers that can be kept for one step.
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
	// Before says that this state, and not the device's own, is the one before the answer.
	Before bool
	Step   uint64 // of the record, before the answer
}

// confirmed is the record after inWebo accepted a proof of the device's state: nothing else is needed any more.
func (r Record) confirmed() Record {
	r.Unread = nil
	if r.Device != nil && (r.Device.Fallback != nil || r.Device.Unconfirmed) {
		device := *r.Device
		device.Fallback, device.Unconfirmed = nil, false
		r.Device = &device
	}
	return r
}

// alternated is the device with its other state, after inWebo refused a proof that was made with the one that it has.
func (d Device) alternated() Device {
	if d.Fallback != nil {
		d.State, d.Fallback = d.Fallback.State, &Fallback{State: d.State, Before: !d.Fallback.Before, Step: d.Fallback.Step}
	}
	return d
}

// hasUntriedState reports whether the device has another state that no proof has been made with since a kept answer was read
// again: the state after the answer is tried first.
func (d *Device) hasUntriedState() bool { return d.Fallback != nil && d.Fallback.Before }

// stateAt returns the state from which an answer moves the device on that was kept at that step of the record.
func (r *Record) stateAt(step uint64) (ratchet.State, bool) {
	switch other := r.Device.Fallback; {
	case other == nil:
		return r.Device.State, step == r.Step
	case other.Before:
		return other.State, step == other.Step
	default:
		return r.Device.State, step == other.Step
	}
}

// errNothingKept ends the reading of a record that keeps no answer.
var errNothingKept = errors.New("no answer is kept")
