package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pimsd/pimsd/internal/otp"
)

// What PostgreSQL says when it ends a connection from its side, perhaps in the middle of a commit.
const (
	adminShutdown = "57P01"
	crashShutdown = "57P02"
)

// What it says of a write that it refuses.
const (
	uniqueViolation     = "23505"
	readOnlyTransaction = "25006"
)

// What it says of data that it cannot read.
const (
	dataCorrupted  = "XX001"
	indexCorrupted = "XX002"
)

// isTaken reports whether a write was undone because the device that it claims is the active one of another account.
func isTaken(err error) bool { return violates(err, "device_active") }

// isRepeated reports whether a write was undone because the audit log has its ID already, although the row does not: the
// row was restored.
func isRepeated(err error) bool { return violates(err, "audit_write_id_key") }

func violates(err error, index string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == uniqueViolation && refused.ConstraintName == index
}

// isReadOnly reports whether the server refused to write anything at all.
func isReadOnly(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == readOnlyTransaction
}

// isDamage reports whether the server could not read what it has stored.
func isDamage(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failed.Code == dataCorrupted || failed.Code == indexCorrupted)
}

// notSent is an error from before anything was sent to the server.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// describe says what was to be done, and whether anything of it can have been stored: the server has undone a statement
// that it answers with an error, and what never reached the server is not there. It returns nil for nil.
func describe(what string, err error) error {
	if err == nil {
		return nil
	}
	refused, answered := errors.AsType[*pgconn.PgError](err)
	answered = answered && refused.Code != adminShutdown && refused.Code != crashShutdown
	_, unsent := errors.AsType[notSent](err)
	if answered || unsent || pgconn.SafeToRetry(err) {
		return fmt.Errorf("%s: %w: %w", what, otp.ErrUntouched, explain(err))
	}
	return fmt.Errorf("%s: %w", what, explain(err))
}
