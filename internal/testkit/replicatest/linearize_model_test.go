package replicatest_test

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// verb is what a caller or an operator asks a replica for.
type verb string

const (
	issue            verb = "otp"
	status           verb = "status"
	unlock           verb = "unlock"
	doubt            verb = "doubt"
	disable          verb = "disable"
	enable           verb = "enable"
	forget           verb = "forget"
	forgetDisabled   verb = "forget disabled"
	importDevice     verb = "import"
	enroll           verb = "enroll"        // its first change; all of an enrollment that fails
	enrolled         verb = "enroll: store" // the second change of one that succeeds
	countActivations verb = "count activations"
	clearQuota       verb = "clear quota"
	hasPIN           verb = "has PIN"
	reread           verb = "reread"
	authenticate     verb = "authenticate"
	revoke           verb = "revoke"
)

// input is one call.
type input struct {
	verb     verb
	wrongPIN bool
	key      int  // of a call that may be repeated, from 1; 0 for one that may not
	body     int  // of that call
	recalls  bool // the call for an OTP is that of an API key
	// mayKeep means that a PIN was under way at the same time as the unlock. If it is counted meanwhile, it goes on to count.
	mayKeep bool
	// outdated means that the key had been revoked before the call for an OTP began. The lease finds out whether it is good, and the settle
	// has the effect: a key that is revoked between the two is used for the last time.
	outdated bool
}

// output is what the caller was told.
type output struct {
	cause  error  // nil for a success
	text   string // the answer to a call for an OTP, in words
	replay bool
	seen   seen // by a status
}

// seen is what a status shows of the account.
type seen struct {
	device, disabled, inDoubt bool
	wrong, step, activations  int
}

const (
	attempts = 2  // of the PIN guard
	unknown  = -1 // a number that the next status shows
	keys     = 2  // of calls that may be repeated

	anyText = "?"     // what is stored is not known
	spent   = "spent" // nothing is stored any more
)

// state is the account, its API key, and what is stored of the calls that may be repeated.
type state struct {
	seen
	lost      int  // PINs whose answer was lost
	enrolling bool // between the two changes of an enrollment
	revoked   bool
	responses [keys + 1]response // the first one stays empty
}

// response is what is stored of a call: the zero value for nothing.
type response struct {
	text string
	body int
}

// model is one account that has just imported its device.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{seen: seen{device: true, inDoubt: true, step: unknown}}} },
		Step: func(from, in, out any) (to []any) {
			for _, next := range from.(state).after(in.(input), out.(output)) {
				to = append(to, next)
			}
			return to
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
		DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
	}
	return m.ToModel()
}

// isOpen reports whether a call that was answered with the cause may still have an effect after its answer.
func isOpen(v verb, cause error) bool {
	closed := []error{
		nil, otp.ErrBusy, otp.ErrKeyInFlight, otp.ErrNoDevice, otp.ErrDisabled, otp.ErrNotDisabled, otp.ErrAlreadyEnrolled,
		otp.ErrKeySpent, otp.ErrKeyReused, otp.ErrPINHeldBack, otp.ErrPINLocked, otp.ErrPINRefused, otp.ErrInDoubt, otp.ErrUnreachable,
		authn.ErrUnauthenticated,
	}
	if v == issue || v == status || v == authenticate {
		closed = append(closed, otp.ErrStore) // which says of a call for an OTP that inWebo was not asked
	}
	return !slices.Contains(closed, cause)
}

// after returns the states in which the call may have left the account when its caller was told that: none when it cannot have been
// told that.
func (s state) after(in input, out output) []state {
	if out.cause == otp.ErrBusy || out.cause == otp.ErrKeyInFlight {
		return []state{s}
	}
	switch in.verb {
	case issue:
		return s.issued(in, out)
	case status:
		return s.shown(out)
	case unlock:
		return s.unlocked(in, out)
	case authenticate:
		return allowed(out.cause == otp.ErrStore || s.revoked == (out.cause != nil), s)
	case hasPIN:
		// Its answer is inWebo's alone, and is not withheld when the record cannot be read.
		return allowed(s.disabled || out.cause != otp.ErrDisabled, s)
	case clearQuota, reread:
		return []state{s}
	default:
		return s.amended(in.verb, out)
	}
}

// amended is a change by an operator.
func (s state) amended(v verb, out output) []state {
	next, refusal := s.changed(v)
	switch {
	case out.cause == nil:
		return allowed(refusal == nil, next)
	case isOpen(v, out.cause) && refusal == nil:
		return []state{s, next}
	default:
		return allowed(isOpen(v, out.cause) || out.cause == refusal, s)
	}
}

func allowed(ok bool, s state) []state {
	if ok {
		return []state{s}
	}
	return nil
}

// changed returns the state after a change by an operator, or why it is refused.
func (s state) changed(v verb) (next state, refusal error) {
	next = s
	switch v {
	case doubt:
		next.inDoubt = true
		refusal = noDeviceUnless(s.device)
	case disable, enable:
		next.disabled = v == disable
	case forget, forgetDisabled:
		next.device, next.inDoubt, next.step = false, false, unknown
		refusal = noDeviceUnless(s.device)
		if v == forgetDisabled && !s.disabled {
			refusal = otp.ErrNotDisabled
		}
	case importDevice:
		next.device, next.inDoubt, next.step = true, true, unknown
		if s.device {
			refusal = otp.ErrAlreadyEnrolled
		}
	case enroll:
		next.activations, next.step, next.enrolling = s.activations+1, unknown, true
		switch {
		case s.disabled:
			refusal = otp.ErrDisabled
		case s.device:
			refusal = otp.ErrAlreadyEnrolled
		}
	case enrolled:
		next.device, next.inDoubt, next.enrolling, next.wrong, next.lost, next.step = true, false, false, 0, 0, unknown
	case countActivations:
		next.activations++
	case revoke:
		next.revoked = true
	default:
		panic("a call of " + v + " is no change")
	}
	return next, refusal
}

func noDeviceUnless(device bool) error {
	if device {
		return nil
	}
	return otp.ErrNoDevice
}

// shown compares what a status has shown. The step is not known beforehand after a change of the device.
func (s state) shown(out output) []state {
	if out.cause != nil {
		return []state{s}
	}
	want := s.seen
	if want.step == unknown || s.enrolling {
		want.step = out.seen.step
	}
	ok := want == out.seen
	s.step = want.step
	return allowed(ok, s)
}

// unlocked forgives what was counted before the call began.
func (s state) unlocked(in input, out output) (to []state) {
	forgiven := s
	forgiven.wrong, forgiven.lost = 0, 0
	to = []state{forgiven}
	if out.cause != nil || in.mayKeep {
		onlyWrong, onlyLost := s, s
		onlyWrong.lost, onlyLost.wrong = 0, 0
		to = append(to, s, onlyWrong, onlyLost)
	}
	return to
}

// issued is a call for an OTP. The cases are in the order in which the service looks.
func (s state) issued(in input, out output) []state {
	kept := s.responses[in.key]
	isStored := in.key > 0 && kept.text != ""
	switch {
	case out.cause == otp.ErrStore:
		return []state{s}
	case out.cause == authn.ErrUnauthenticated:
		return allowed(in.recalls && s.revoked, s)
	case in.outdated && !isOpen(issue, out.cause):
		return nil
	case isOpen(issue, out.cause):
		return []state{s, s.lostAnswer(), s.judged(in, anyText)}
	case s.disabled || out.cause == otp.ErrDisabled:
		return allowed(s.disabled && out.cause == otp.ErrDisabled, s)
	case out.replay:
		known := kept.text == anyText || kept.text == out.text
		return allowed(isStored && known && kept.body == in.body, s.with(in.key, response{out.text, in.body}))
	case out.cause == otp.ErrKeySpent:
		return allowed(isStored && kept.text == spent, s)
	case out.cause == otp.ErrKeyReused: // another one may have spent the key meanwhile
		return allowed(isStored && (kept.text == spent || kept.body != in.body), s.with(in.key, response{text: spent}))
	case isStored:
		return nil
	case !s.device || out.cause == otp.ErrNoDevice:
		return allowed(!s.device && out.cause == otp.ErrNoDevice, s)
	case s.wrong >= attempts || out.cause == otp.ErrPINLocked:
		return allowed(s.wrong >= attempts && out.cause == otp.ErrPINLocked, s)
	case s.wrong+s.lost >= attempts || out.cause == otp.ErrPINHeldBack:
		return allowed(s.wrong+s.lost >= attempts && out.cause == otp.ErrPINHeldBack, s)
	case out.cause == otp.ErrUnreachable:
		return []state{s, s.lostAnswer()}
	case out.cause == nil:
		return allowed(!in.wrongPIN, s.judged(in, out.text))
	default:
		refusedInDoubt := out.cause == otp.ErrInDoubt
		return allowed(in.wrongPIN && refusedInDoubt == s.inDoubt, s.judged(in, out.text))
	}
}

// lostAnswer is the state after a PIN that inWebo may have counted, and whose answer was lost. Nothing is stored for a repeat: it may ask
// again.
func (s state) lostAnswer() state {
	s.lost++
	s.inDoubt = true
	return s
}

// judged is the state after a PIN that inWebo has accepted or refused.
func (s state) judged(in input, text string) state {
	if in.wrongPIN {
		s.wrong++
	} else {
		s.wrong, s.lost, s.inDoubt = 0, 0, false
		if s.step != unknown {
			s.step++
		}
	}
	return s.with(in.key, response{text, in.body})
}

// with stores what a repeat of the call is told.
func (s state) with(key int, r response) state {
	if key > 0 {
		s.responses[key] = r
	}
	return s
}
