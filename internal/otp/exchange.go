package otp

import (
	"context"
	"errors"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/secret"
)

// result is how an exchange with inWebo ended for the device.
type result int

const (
	// neverSent: nothing that could move the device, or count as a PIN, has left.
	neverSent result = iota
	// noAnswer: a finalize was sent, and no usable answer came back.
	noAnswer
	// refused: inWebo answered, and not with OK.
	refused
	// accepted: inWebo answered OK.
	accepted
	// effectUnknown: inWebo did what was asked, and what that changed of the device is not known.
	effectUnknown
	// notLeased: the lease was not stored, so nothing was sent that could move the device, and there is nothing to settle.
	notLeased
)

// outcome is what a record must remember of an exchange.
type outcome struct {
	result result
	err    error // a cause; nil when accepted
	// wrongPIN means that inWebo counted a proof as wrong.
	wrongPIN bool
	// mayCount means that inWebo refused a proof without a reason that is known, so that it may have counted a wrong PIN.
	mayCount bool
	blocking Blocking // empty: the answer says nothing of it
	// finalized means that inWebo has answered a finalize, whatever it answered.
	finalized bool
	otp       secret.Text // of an accepted round that makes one
	resync    bool        // an accepted round that was a resynchronization: a second one makes the OTP
	// change is what the answer changed of the device: one step of the ratchet. nil: nothing.
	change change
	// unread is an answer that must be kept because it could not be read. nil: there is none.
	unread *UnreadAnswer
}

// setupFailed is the outcome of a conversation whose setup brought no challenge. A setup carries no PIN, so a refusal of access says
// nothing of one.
func setupFailed(err error) outcome {
	if refusal, answered := errors.AsType[*inwebo.Refusal](err); answered {
		o := ofRefusal(refusal)
		if refusal.Reason == inwebo.ReasonAccess {
			o.err = wrapCause(ErrAccess, refusal)
		}
		return o
	}
	return outcome{result: neverSent, err: faultCause(err)}
}

// finalizeFailed is the outcome of a finalize that was not accepted:
//
//	what came back                     | result        | did inWebo count a wrong PIN?
//	a refusal of access                | refused       | yes (wrongPIN)
//	a refusal that is not documented   | refused       | perhaps (mayCount)
//	a refusal after the operation      | effectUnknown | no: the operation was done, and its synchronization failed
//	any other refusal                  | refused       | no: it left things as they were (docs/protocol.md §7)
//	an answer that cannot be read      | noAnswer      | perhaps; if the answer says OK, the result is effectUnknown, and it did not
//	nothing, and nothing was sent      | neverSent     | no
//	nothing, after something was sent  | noAnswer      | perhaps
func finalizeFailed(err error) outcome {
	var refusal *inwebo.Refusal
	var unread *inwebo.Unreadable
	switch {
	case errors.As(err, &unread):
		return unreadable(unread)
	case errors.As(err, &refusal):
		o := ofRefusal(refusal)
		o.finalized = true
		if !refusal.Unusable.IsEmpty() {
			o.unread = &UnreadAnswer{Exchange: refusal.Exchange, Answer: refusal.Unusable}
		}
		switch refusal.Reason { //nolint:exhaustive // the table has all others in one row
		case inwebo.ReasonAccess:
			o.wrongPIN = true
		case inwebo.ReasonUnknown:
			o.mayCount = true
		case inwebo.ReasonSynchroFailed:
			o.result = effectUnknown
		}
		return o
	case errors.Is(err, inwebo.ErrNeverSent):
		return outcome{result: neverSent, err: faultCause(err)}
	default:
		return outcome{result: noAnswer, err: faultCause(err)}
	}
}

func ofRefusal(refusal *inwebo.Refusal) outcome {
	o := outcome{result: refused, err: wrapCause(refusalCause(refusal.Reason), refusal)}
	if errors.Is(o.err, ErrBlocked) {
		o.blocking = PINBlocked
	}
	if !refusal.Sync.IsEmpty() { // not seen yet, and possible (docs/protocol.md §4)
		o.change = &deviceMoved{sync: refusal.Sync}
	}
	return o
}

// ofAnswer is the outcome of a finalize that inWebo accepted.
func ofAnswer(answer inwebo.Finalized, change change) outcome {
	o := outcome{result: accepted, blocking: NotBlocked, finalized: true, change: change}
	if answer.Blocked {
		o.blocking = PINBlocked
	}
	return o
}

// explainsDoubt reports whether the outcome is a refusal that a device gets whose stored state lags behind.
func (o outcome) explainsDoubt() bool {
	is := func(cause error) bool { return errors.Is(o.err, cause) }
	return o.result == refused && (is(ErrPINRefused) || is(ErrAccess) || is(ErrState) || is(ErrForbidden))
}

// refusesProof reports whether inWebo refused a proof as it does when the keys behind it are wrong.
func (o outcome) refusesProof() bool { return o.finalized && o.explainsDoubt() }

// mayMove reports whether inWebo's device may differ from what is stored when the outcome is not applied.
func (o outcome) mayMove() bool {
	return o.result == noAnswer || o.result == accepted || o.result == effectUnknown || o.change != nil || o.unread != nil
}

func (forOTP) prepare(r Record, conversation string, clock ClockReading, limits *Limits) (Record, error) {
	if r.Device == nil {
		return r, ErrNoDevice
	}
	if _, err := limits.service(r.Device); err != nil {
		return r, err
	}
	return r.withCosts(conversation, clock, limits)
}

// setup asks for a challenge, once more when the network broke off or inWebo failed, and the budget for that has
// something left: a second challenge only replaces the first.
func (s *Service) setup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error) {
	s.setupBudget.Earn()
	challenge, err := s.inwebo.OTPSetup(ctx, who, sid)
	if s.maySetupAgain(ctx, err) {
		return s.inwebo.OTPSetup(ctx, who, sid)
	}
	return challenge, err
}

// maySetupAgain reports whether a setup that ended with err is repeated.
func (s *Service) maySetupAgain(ctx context.Context, err error) bool {
	brokeOff := errors.Is(err, inwebo.ErrNetwork) || errors.Is(err, inwebo.ErrServer)
	return brokeOff && ctx.Err() == nil && s.setupBudget.Spend()
}

// acquirePermit refuses a conversation while the circuit to inWebo is open. It comes right before the lease, so that nothing is
// leased or spent then, and a call that queues for a device is not the one that all others wait for. finish releases the permit.
func (s *Service) acquirePermit(c *conversation) error {
	if c.permit != nil {
		return nil
	}
	permit, wait := s.circuit.Acquire()
	if permit == nil {
		return &RetryAfterError{ErrCircuitOpen, wait}
	}
	c.permit = permit
	return nil
}

// releasePermit undoes acquirePermit.
func (s *Service) releasePermit(c *conversation) {
	if c.permit != nil {
		c.permit.Release()
		c.permit = nil
	}
}

// report reports to the circuit whether the outcome shows that the host can be reached. Every answer shows that it can.
func (c *conversation) report(o outcome) {
	is := func(cause error) bool { return errors.Is(o.err, cause) }
	_, refusal := errors.AsType[*inwebo.Refusal](o.err) // whatever its result
	answered := o.result == accepted || refusal ||
		is(inwebo.ErrServer) || is(inwebo.ErrNotService) || is(inwebo.ErrNotUnderstood) || is(inwebo.ErrUnreadable)
	switch {
	case c.permit == nil:
	case answered:
		c.permit.Success()
	case is(inwebo.ErrNetwork), is(inwebo.ErrLate):
		c.permit.Failure()
	}
}

// unreadable is the outcome of a finalize whose answer could not be read.
func unreadable(err *inwebo.Unreadable) outcome {
	o := outcome{result: noAnswer, err: wrapCause(ErrUnreadable, err), finalized: true}
	if err.Accepted {
		o.result = effectUnknown
	}
	if err.Blocked {
		o.blocking = PINBlocked
	}
	o.unread = &UnreadAnswer{Exchange: err.Exchange, Accepted: err.Accepted, Cut: err.Cut, Answer: err.Answer}
	return o
}

// notUnderstood returns the outcome of an answer that cannot be used. r is what its request may have done.
func notUnderstood(r result, err error) outcome {
	return outcome{result: r, err: wrapCause(ErrNotUnderstood, err)}
}

// asNeverSent is the outcome of an activate setup that was not accepted: nothing that could count as an activation, or
// as a PIN, has left, whatever inWebo answered.
func asNeverSent(o outcome) outcome {
	o.result = neverSent
	return o
}

// blameSMSCode blames the SMS code for a syntax that the activate setup refused: it is the caller's only argument there.
func blameSMSCode(o outcome) outcome {
	if errors.Is(o.err, ErrSyntax) {
		o.err = wrapCause(ErrSMSCodeFormat, o.err)
	}
	return o
}
