package main

import (
	"context"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/otp"
)

// The audit log's words for what administrators do that is written with no account's record.
const (
	actionSealRotate = "seal-rotate"
	actionSealRemove = "seal-remove"
	actionStoreCopy  = "store-copy"

	actionStoreBackup = "store-backup"
)

// audited does what the person at the command asks, between its two lines in the audit log.
func audited(ctx context.Context, core *app.Core, action string, do func() error) error {
	return core.Audited(ctx, otp.Request{Caller: caller}, action, do)
}
