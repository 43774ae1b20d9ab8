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
		return fmt.Errorf("%s: %w: %w", what, otp.ErrUntouched, withoutURL(err))
	}
	return fmt.Errorf("%s: %w", what, withoutURL(err))
}

// withoutURL keeps what pgx says about a connection that it could not make, which names user and database but no
// password, to what the operator needs.
func withoutURL(err error) error {
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return fmt.Errorf("the database of database_url cannot be reached: %w", connect.Unwrap())
	}
	return err
}
