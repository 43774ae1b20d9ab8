package otp

import (
	"cmp"
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/secret"
)

// actionSMSCode is the audit log's word for asking inWebo about an account by an SMS code.
const actionSMSCode = "smscode"

// HasPIN asks inWebo whether the account that the SMS code was sent for has a PIN, that is, whether it was enrolled
// before. It makes the activate setup and nothing else: that spends neither the code nor one of the account's
// activations, which is what a finalize does (inwebo-protocol.md §3, §7).
//
// Nothing of a device moves, so it takes no hold: a process that dies over it leaves no doubt behind.
func (s *Service) HasPIN(ctx context.Context, ask Ask, code secret.Text) (bool, error) {
	c, err := s.enter(ctx, ask, actionSMSCode, s.limits.Deadline)
	if err != nil {
		return false, err
	}
	defer s.finish(c)
	err = s.note(ctx, c, StageAttempt, "", func(r Record, _ time.Time) (Record, error) { return r, s.setOut(c) })
	if err != nil {
		return false, err
	}
	s.setDeadline(c)
	ctx = context.WithoutCancel(ctx) // what was asked is noted, also when the caller hangs up
	asking, cancel := context.WithDeadline(ctx, c.deadline.Add(-settleReserve))
	defer cancel()
	setup, o := s.askPINMode(asking, code)
	c.report(o)
	err = s.note(ctx, c, StageOutcome, c.word(o.err), func(r Record, _ time.Time) (Record, error) {
		r.Blocking = cmp.Or(o.blocking, r.Blocking)
		return r, nil
	})
	if err != nil && o.err == nil {
		return false, err
	}
	return setup.PINMode&inwebo.PINExisting != 0, o.err
}

// askPINMode makes the activate setup, once more when the network broke off.
func (s *Service) askPINMode(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, outcome) {
	s.repeats.Earn()
	setup, err := s.inwebo.ActivateSetup(ctx, code)
	if s.mayRepeat(ctx, err) {
		setup, err = s.inwebo.ActivateSetup(ctx, code)
	}
	if err != nil {
		return setup, notActivating(blamingCode(setupFailed(err)))
	}
	return setup, outcome{fate: accepted}
}
