package main

import (
	"context"
	"fmt"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/otp"
)

// The audit log's words for what administrators do that is written with no account's record.
const (
	actionKeyCreate  = "key-create"
	actionKeyRevoke  = "key-revoke"
	actionSealRotate = "seal-rotate"
	actionSealRemove = "seal-remove"
	actionStoreCopy  = "store-copy"

	actionStoreBackup = "store-backup"
)

// audited does what an administrator asks, between the line of the attempt in the audit log and that of its outcome. When
// the store does not take the first, nothing is done. An attempt without an outcome failed, or was interrupted, or was done
// and the error says so.
func audited(ctx context.Context, core *app.Core, action string, account otp.Account, do func() error) error {
	note := func(stage otp.Stage, outcome string) error {
		err := core.Store.Note(ctx, []otp.Line{{Account: account, Caller: caller, Action: action, Stage: stage, Outcome: outcome}})
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
