package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/secret"
)

// actionSMSCode is the audit log's word for asking inWebo about an account by an SMS code.
const actionSMSCode = "smscode"

// HasPIN asks inWebo whether the account that the SMS code was sent for has a PIN, that is, whether it was enrolled
// before. It makes the activate setup and nothing else: that spends neither the code nor one of the account's
// activations, which is what a finalize does (docs/protocol.md §3, §7).
//
// Nothing of a device moves, so it takes no lease, and an account that has no record gets none. A process that dies over it
// leaves no doubt behind.
func (s *Service) HasPIN(ctx context.Context, ask Ask, code secret.Text) (bool, error) {
	c, err := s.enter(ctx, ask, actionSMSCode, s.limits.Deadline)
	if err != nil {
		return false, err
	}
	defer s.finish(c)
	c.tolerance = keepsVault
	if found, err := s.fetch(ctx, c); err == nil && found.Disabled { // the answer does not depend on a record that cannot be read
		return false, ErrDisabled
	}
	if err := s.acquirePermit(c); err != nil {
		return false, err
	}
	if err := s.appendAudit(ctx, c, StageAttempt, ""); err != nil {
		return false, err
	}
	s.setDeadline(c)
	ctx = context.WithoutCancel(ctx) // what was asked is audited, also when the caller hangs up
	asking, cancel := context.WithDeadline(ctx, c.deadline.Add(-settleReserve))
	defer cancel()
	setup, o := s.askPINMode(asking, code)
	c.report(o)
	if err := s.auditSetup(ctx, c, o); err != nil && o.err == nil {
		return false, err
	}
	return setup.PINMode&inwebo.PINExisting != 0, o.err
}

// errNothingToStore ends a change of a record that would change nothing.
var errNothingToStore = errors.New("nothing to store")

// auditSetup appends the outcome of the setup to the audit log, together with what it says of a record that is there.
func (s *Service) auditSetup(ctx context.Context, c *conversation, o outcome) error {
	word := c.word(o.err)
	if o.blocking != "" {
		err := s.note(ctx, c, StageOutcome, word, func(r Record, _ time.Time) (Record, error) {
			if r.Revision == 1 { // there was no record
				return r, errNothingToStore
			}
			r.Blocking = o.blocking
			return r, nil
		})
		if !errors.Is(err, errNothingToStore) {
			return err
		}
	}
	return s.appendAudit(ctx, c, StageOutcome, word)
}

// appendAudit appends an entry of the conversation to the audit log that comes with no write of the record.
func (s *Service) appendAudit(ctx context.Context, c *conversation, stage Stage, word string) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	err := s.store.Note(ctx, []Line{{
		Account: c.ask.Account, Caller: c.ask.Caller, Transaction: c.ask.Transaction, Action: c.action, Stage: stage, Outcome: word,
		Step: c.record.Step,
	}})
	if err != nil {
		return because(ErrStore, err)
	}
	return nil
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
