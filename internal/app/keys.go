package app

import (
	"context"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// Audited does what an administrator asks, between the line of the attempt in the audit log and that of its outcome. When the
// store does not take the first line, nothing is done. An attempt without an outcome failed, or was interrupted, or was done
// and the error says so.
func (c *Core) Audited(ctx context.Context, ask otp.Request, action string, do func() error) error {
	note := func(stage otp.Stage, outcome string) error {
		err := c.Store.AppendAudit(ctx, []otp.AuditEntry{{
			Account: ask.Account, Caller: ask.Caller, Transaction: ask.Transaction, Action: action, Stage: stage, Outcome: outcome,
		}})
		if err != nil {
			return fmt.Errorf("write to the audit log: %w", err)
		}
		return nil
	}
	if err := note(otp.StageAttempt, ""); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if err := note(otp.StageOutcome, "done"); err != nil {
		return fmt.Errorf("%s was done, and the line that says so is missing: %w", action, err)
	}
	return nil
}

// CreateKey stores a new API key, and audits it under the name that the lines of its calls have.
func (c *Core) CreateKey(ctx context.Context, ask otp.Request, key authn.Key) error {
	ask.Account = otp.Account(key.Account)
	err := c.Audited(ctx, ask, "key-create "+key.PrincipalName(), func() error { return c.Store.AddKey(ctx, key) })
	if err != nil {
		return fmt.Errorf("store the key: %w", err)
	}
	return nil
}

// RevokeKey revokes an API key, which is refused from then on, and audits it like CreateKey. A repeat changes nothing.
func (c *Core) RevokeKey(ctx context.Context, ask otp.Request, key authn.Key, at time.Time) error {
	ask.Account = otp.Account(key.Account)
	return c.Audited(ctx, ask, "key-revoke "+key.PrincipalName(), func() error { return c.Store.RevokeKey(ctx, key.ID, at) })
}
