package otp

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// actionOTP is the audit log's word for asking an OTP.
const actionOTP = "otp"

// settleReserve is the end of a conversation's time, in which no exchange with inWebo goes on. It is left for the store, so that an answer
// that arrives at the last moment is stored before the deadline, and its caller still gets it.
const settleReserve = 500 * time.Millisecond

// Issued is an OTP, and what it took.
type Issued struct {
	OTP    secret.Text // 1 to 8 of a–z0–9
	Step   uint64      // the ratchet step that made it
	Rounds int         // 2 when inWebo asked for a resynchronization first
	// Blocked means that inWebo accepted this call and blocks the account from now on.
	Blocked bool
	// Allowance is what is left of the account's quota afterwards.
	Allowance Allowance
	// StoredResponse is the response to the call that this one repeats. Only Allowance is set then, too: a repeat takes nothing of it.
	StoredResponse secret.Bytes
}

// IssueOTP asks inWebo for one OTP of the account's device, with the PIN that its user typed. When it returns the OTP,
// the state behind it is durable. Its errors are those of Causes; a *RetryAfterError says when it is worth asking again.
//
// It takes at most the queue's wait and the deadline.
func (s *Service) IssueOTP(ctx context.Context, request Request, pin secret.Text) (Issued, error) {
	c, err := s.enter(ctx, request, actionOTP, s.limits.Deadline)
	if err != nil {
		return Issued{}, err
	}
	defer s.finish(c)
	// Each exchange and each write looks for the span. As the topmost value of the context it is found at once.
	ctx = trace.ContextWithSpan(ctx, c.span)
	if err = s.acquireLease(ctx, c, forOTP{}); err != nil { // c may be another goroutine's now: see recoverLease
		return Issued{}, err
	}
	if !c.response.IsEmpty() {
		return Issued{StoredResponse: c.response, Allowance: s.allowance(c)}, nil
	}
	sid, err := s.limits.service(c.record.Device)
	if err != nil {
		return Issued{}, attempted(err)
	}
	// A caller who hangs up now must not put the device in doubt.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), c.deadline.Add(-settleReserve))
	defer cancel()
	return s.issue(ctx, c, sid, pin)
}

// allowance returns what is left of the quota of the conversation's account.
func (s *Service) allowance(c *conversation) Allowance {
	return c.record.Quota.allowance(c.now(), s.limits.OTPsPerDay)
}

// forOTP leases the record of a device for an OTP.
type forOTP struct{}

// service returns the sid that the OTP is for.
func (l Limits) service(device *Device) (string, error) {
	wanted := l.ServiceID
	for _, service := range device.Services {
		if wanted != "" && (service.ID == wanted || service.Name == wanted) {
			return service.ID, nil
		}
	}
	switch {
	case wanted != "" || len(device.Services) > 1:
		return "", ErrServiceChoice
	case len(device.Services) == 0:
		return "", ErrNoService
	default:
		return device.Services[0].ID, nil
	}
}

// issue makes the rounds of one OTP: one, or two when the first was a resynchronization (docs/protocol.md §6).
func (s *Service) issue(ctx context.Context, c *conversation, sid string, pin secret.Text) (Issued, error) {
	triedAgain := false
	for {
		o := s.round(ctx, c, sid, pin)
		if o.result == notLeased {
			return Issued{}, o.err
		}
		if o.result == refused && o.unread == nil && errors.Is(o.err, ErrTooSlow) && !triedAgain { // one fresh try (docs/protocol.md §7)
			triedAgain = true
			if err := s.settleCarried(c, o); err != nil {
				return Issued{}, attempted(err)
			}
			continue
		}
		o.err = c.explain(o)
		if err := s.settle(c, o, !o.resync); err != nil {
			return Issued{}, attempted(err)
		}
		if !o.resync {
			return Issued{
				OTP: o.otp, Step: c.record.Step, Rounds: c.rounds, Blocked: o.blocking == PINBlocked,
				Allowance: s.allowance(c),
			}, nil
		}
	}
}

var errNoDefi = errors.New("inWebo accepted the proofs and gave nothing to make an OTP of")

// round is one setup and one finalize.
func (s *Service) round(ctx context.Context, c *conversation, sid string, pin secret.Text) outcome {
	device := c.record.Device
	challenge, err := s.setup(ctx, device.Identity, sid)
	if notStored := s.leaseStored(ctx, c); notStored != nil {
		return outcome{result: notLeased, err: notStored}
	}
	if err != nil {
		return setupFailed(err)
	}
	if !hasTime(ctx, s.limits.FinalizeTimeout) {
		return outcome{result: neverSent, err: ErrLate}
	}
	used := c.record.openedBy(pin)
	proofs := ratchet.Prove(challenge.Text, used.keys, c.record.Serial, pin)
	answer, err := s.inwebo.OTPFinalize(ctx, device.Identity, sid, proofs)
	if err != nil {
		return finalizeFailed(err)
	}
	return c.ofOTP(answer, used)
}

// hasTime reports whether at least that much is left until the deadline of ctx.
func hasTime(ctx context.Context, needed time.Duration) bool {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline) >= needed
}

// ofOTP is the outcome of a finalize that inWebo accepted, of which an OTP may be made.
func (c *conversation) ofOTP(answer inwebo.OTPFinalize, used *proven) outcome {
	resync := answer.WantsSecondRound && c.rounds == 0
	makes := !resync && answer.Defi != ""
	step := &deviceMoved{sync: answer.Sync, proven: used, issues: makes}
	o := ofAnswer(answer.Finalized, step)
	o.resync = resync
	switch {
	case makes: // it leaves the process after the settle only
		o.otp = step.otpOf(c.record.Device.State, answer.Defi)
	case !resync:
		o.err = wrapCause(ErrNotUnderstood, errNoDefi)
	}
	return o
}

// settleCarried makes durable what a refusal carried, in the middle of a conversation.
func (s *Service) settleCarried(c *conversation, o outcome) error {
	if o.change == nil {
		return nil
	}
	if err := s.settle(c, o, false); errors.Is(err, ErrNotStored) || errors.Is(err, ErrSuperseded) {
		return err
	}
	return nil
}

// explain returns the error for the caller. A refusal of a device in doubt, or of a second round, has a cause of its own.
func (c *conversation) explain(o outcome) error {
	switch {
	case o.err == nil:
		return nil
	case c.rounds > 0:
		return wrapCause(ErrSecondRound, o.err)
	case c.wasInDoubt && o.refusesProof() && c.record.Device.hasUntriedState():
		return wrapCause(ErrInDoubt, wrapCause(errUntriedState, o.err))
	case c.wasInDoubt && o.explainsDoubt():
		return wrapCause(ErrInDoubt, o.err)
	default:
		return o.err
	}
}

// Attempted is the error of a call whose attempt is in the audit log: so is its outcome, or it will be. A call that fails with any
// other error has left no entry.
type Attempted struct{ Err error }

// Error is that of the error within.
func (a *Attempted) Error() string { return a.Err.Error() }

// Unwrap returns the error within.
func (a *Attempted) Unwrap() error { return a.Err }

// attempted returns err as an Attempted; nil for none.
func attempted(err error) error {
	if err == nil {
		return nil
	}
	return &Attempted{err}
}
