package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pimsd/pimsd/internal/otp"
)

// Errors of PostgreSQL that mean that it refuses a write.
const (
	uniqueViolation     = "23505"
	readOnlyTransaction = "25006"
	undefinedTable      = "42P01"
	lockNotAvailable    = "55P03"
	tooManyConnections  = "53300"
	diskFull            = "53100"
	ioError             = "58030"
)

// Errors of PostgreSQL that mean that it cannot read data.
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
func isReadOnly(err error) bool { return hasCode(err, readOnlyTransaction) }

// isUnmarked reports whether a statement was refused because its session is not one that pimsd has set up: the mark is not there, or
// it was reset.
func isUnmarked(err error) bool {
	const undefinedObject, invalidText = "42704", "22P02"
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failed.Code == undefinedObject && strings.Contains(failed.Message, sessionMark) ||
		failed.Code == invalidText && strings.Contains(failed.Message, `boolean: ""`))
}

// isDamage reports whether the server could not read what it has stored.
func isDamage(err error) bool { return hasCode(err, dataCorrupted) || hasCode(err, indexCorrupted) }

// cannotStore reports whether the server has refused a write because what it would change is damaged, or has no room. Another table
// may be in order.
func cannotStore(err error) bool {
	return isDamage(err) || hasCode(err, diskFull) || hasCode(err, ioError)
}

func hasCode(err error, code string) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && failed.Code == code
}

// notSent is an error from before anything was sent to the server.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// isAnswer reports whether the server answered with an error and goes on, and so has undone the statement. One that is ended
// (FATAL), or crashes (PANIC), may have been in the middle of a commit.
func isAnswer(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && failed.SeverityUnlocalized == "ERROR"
}

const (
	// notReplicated is the key under which a connection has that the server warned of a write that may not be replicated.
	notReplicated = "pimsd not replicated"
	// waitForStandby is the function of the server that waits for a synchronous standby.
	waitForStandby = "SyncRepWaitForLSN"
)

// errNotReplicated is the outcome of a write whose wait for a synchronous standby was ended, by an operator or by the end of
// its connection. It is visible, and the standby may become the server without it.
var errNotReplicated = errors.New("the wait for the synchronous standby was canceled: the write is stored, and may not be on the standby")

// saysNotReplicated reports whether a notice is the warning about that. Its text is in the server's language; the name of
// the function is not. Without a name every warning is taken for it.
func saysNotReplicated(notice *pgconn.Notice) bool {
	return notice.SeverityUnlocalized == "WARNING" && (notice.Routine == waitForStandby || notice.Routine == "")
}

// describe says what was to be done, and whether anything of it can have been stored: the server has undone a statement
// that it answers with an error, and what never reached the server is not there. It returns nil for nil.
func describe(what string, err error) error {
	if err == nil {
		return nil
	}
	answered := isAnswer(err)
	_, unsent := errors.AsType[notSent](err)
	if answered || unsent || pgconn.SafeToRetry(err) {
		return fmt.Errorf("%s: %w: %w", what, otp.ErrNotApplied, explain(err))
	}
	return fmt.Errorf("%s: %w", what, explain(err))
}
