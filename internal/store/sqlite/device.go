package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// maxWriteID is the longest id of a write (otp.Write).
const maxWriteID = 64

// Create is as otp.Store says.
func (s *Store) Create(ctx context.Context, w otp.Write) error {
	if w.Row.Revision != 1 {
		return errors.New("the first row of an account has revision 1")
	}
	if err := checkWrite(w); err != nil {
		return err
	}
	return s.put(ctx, w, creating(w))
}

// put has a write of a record done.
func (s *Store) put(ctx context.Context, w otp.Write, c change) error {
	j := &job{change: c, kind: settle}
	if w.Line.Stage == otp.StageAttempt {
		j.kind = lease
		switch err := s.ensureReserve(ctx); {
		case errors.Is(err, otp.ErrBroken):
			return err
		case err != nil:
			return untouched(err)
		}
	}
	if w.Keep != nil {
		j.keep = keeping(w)
	}
	return s.writer.have(ctx, j)
}

func creating(w otp.Write) change {
	line := append(lineArgs(w), string(w.Row.Account))
	device := deviceArgs(w.Row)
	return func(ctx context.Context, on *statements) (refusal, failure error) {
		if refusal, failure = refuseClaim(ctx, on, w, otp.ErrExists); refusal != nil || failure != nil {
			return refusal, failure
		}
		fits, err := affects(ctx, on.lineOfCreate, line)
		if err != nil || !fits {
			return unlessRepeated(ctx, on, w, otp.ErrExists, err)
		}
		if _, err = on.insertDevice.ExecContext(ctx, device...); err == nil {
			err = setClaim(ctx, on, w)
		}
		return nil, err
	}
}

// Replace is as otp.Store says.
func (s *Store) Replace(ctx context.Context, w otp.Write) error {
	if w.Row.Revision < 2 {
		return otp.ErrConflict // there is no row of revision 0
	}
	if err := checkWrite(w); err != nil {
		return err
	}
	return s.put(ctx, w, replacing(w))
}

func replacing(w otp.Write) change {
	line := append(lineArgs(w), string(w.Row.Account), int64(w.Row.Revision-1), bytesOrNull(w.Over))
	device := slices.Concat(deviceArgs(w.Row)[1:], []any{string(w.Row.Account)})
	return func(ctx context.Context, on *statements) (refusal, failure error) {
		if refusal, failure = refuseClaim(ctx, on, w, otp.ErrConflict); refusal != nil || failure != nil {
			return refusal, failure
		}
		fits, err := affects(ctx, on.lineOfReplace, line)
		if err != nil || !fits {
			return unlessRepeated(ctx, on, w, otp.ErrConflict, err)
		}
		if err = keepFormer(ctx, on, w); err != nil {
			return nil, err
		}
		if _, err = on.setDevice.ExecContext(ctx, device...); err == nil {
			err = setClaim(ctx, on, w)
		}
		return nil, err
	}
}

// checkWrite refuses what would fail in the database and take the writes of others with it.
func checkWrite(w otp.Write) error {
	if w.ID == "" || len(w.ID) > maxWriteID {
		return fmt.Errorf("the id of a write must be 1 to %d characters, not %d", maxWriteID, len(w.ID))
	}
	if w.Row.Revision > math.MaxInt64 || w.Line.Step > math.MaxInt64 {
		return errors.New("a revision and a ratchet step must be less than 2⁶³")
	}
	_, err := otp.ParseStoredAccount(string(w.Row.Account))
	return err
}

// refuseClaim refuses a write that claims the device of another account, unless it does not fit anyway (which unlike the
// claim is refused with misfit) or is stored already.
func refuseClaim(ctx context.Context, on *statements, w otp.Write, misfit error) (refusal, failure error) {
	if w.Claim == nil || !w.Claim.Active {
		return nil, nil
	}
	var taken, known bool
	var revision uint64
	if err := on.claimed.QueryRowContext(ctx, w.Claim.Serial, string(w.Row.Account)).Scan(&taken); err != nil || !taken {
		return nil, err
	}
	err := on.writeBefore.QueryRowContext(ctx, w.ID, string(w.Row.Account)).Scan(&known, &revision)
	switch {
	case err != nil:
		return nil, err
	case known && revision >= w.Row.Revision: // the row may have gone back behind a write that it had
		return errStored, nil
	case revision != w.Row.Revision-1:
		return misfit, nil
	}
	return otp.ErrDeviceTaken, nil
}

func setClaim(ctx context.Context, on *statements, w otp.Write) error {
	if w.Claim == nil {
		return nil
	}
	_, err := on.setClaim.ExecContext(ctx, w.Claim.Serial, w.Claim.Active, string(w.Row.Account))
	return err
}

// affects runs a statement that changes one row or none.
func affects(ctx context.Context, statement *sql.Stmt, args []any) (bool, error) {
	rows, err := changes(ctx, statement, args...)
	return rows == 1, err
}

// changes runs a statement and returns how many rows it has changed.
func changes(ctx context.Context, statement *sql.Stmt, args ...any) (int64, error) {
	result, err := statement.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// unlessRepeated finds out why a write does not fit: it is stored already, which is well, or it is refused.
func unlessRepeated(ctx context.Context, on *statements, w otp.Write, refusal, err error) (_, failure error) {
	if err != nil {
		return nil, err
	}
	var known bool
	var revision uint64
	if err := on.writeBefore.QueryRowContext(ctx, w.ID, string(w.Row.Account)).Scan(&known, &revision); err != nil {
		return nil, err
	}
	if !known || revision < w.Row.Revision { // the row may have gone back behind a write that it had
		return refusal, nil
	}
	return nil, nil
}

// Fetch is as otp.Store says.
func (s *Store) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	if err := s.health.refusal(); err != nil {
		return otp.Row{}, time.Time{}, err
	}
	switch row, err := lookUp(ctx, s.writer, (*lookups).fetching, scanRow, string(account)); {
	case errors.Is(err, sql.ErrNoRows):
		return otp.Row{}, now(), otp.ErrNotFound
	case err != nil:
		return otp.Row{}, time.Time{}, s.readError("fetch the record of an account", err)
	default:
		return row, now(), nil
	}
}

// call is what a store has of a call: the row of its account, if there is one, and what is stored of it.
type call struct {
	found bool
	row   otp.Row
	kept  *otp.Kept
}

// FetchWithResponse is as otp.Store says: one statement, and so one snapshot.
func (s *Store) FetchWithResponse(ctx context.Context, account otp.Account, key string) (otp.Row, *otp.Kept, time.Time, error) {
	if err := s.health.refusal(); err != nil {
		return otp.Row{}, nil, time.Time{}, err
	}
	switch c, err := lookUp(ctx, s.writer, (*lookups).fetchingCall, scanCall, string(account), key); {
	case err != nil:
		return otp.Row{}, nil, time.Time{}, s.readError("fetch the record of an account", err)
	case !c.found:
		return otp.Row{}, c.kept, now(), otp.ErrNotFound
	default:
		return c.row, c.kept, now(), nil
	}
}

func scanCall(from scanner) (c call, err error) {
	var answered bool
	var heldUntil sql.NullInt64
	var vault, fingerprint, answer []byte
	var answeredAt int64
	err = from.Scan(&c.found, &c.row.Account, &c.row.Revision, &c.row.InDoubt, &heldUntil, &c.row.Body, &vault,
		&c.row.UnreadAnswers, &c.row.Claim.Serial, &c.row.Claim.Active,
		&answered, &answeredAt, &fingerprint, &answer)
	c.row.HeldUntil, c.row.Vault = timeOrZero(heldUntil), secret.NewBytes(vault)
	if answered {
		c.kept = &otp.Kept{At: time.UnixMicro(answeredAt).UTC(), Fingerprint: fingerprint, Answer: secret.NewBytes(answer)}
	}
	return c, err
}

// CountUnreadAnswers returns the number of kept finalize answers that could not be read.
func (s *Store) CountUnreadAnswers(ctx context.Context) (int, error) {
	return s.count(ctx, "count the answers that could not be read", s.read.countUnread)
}

// List is as otp.Store says.
func (s *Store) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	rows, err := list(ctx, s, "list the records", s.read.list, scanListed, string(after), limit)
	if isDamage(err) {
		return s.listSingly(ctx, after, limit)
	}
	return rows, err
}

// CountDoubt counts the devices that are in doubt, and those whose holder's time is over by the store's clock: it has passed, or
// ends later than any can, so that the clock was set back since.
func (s *Store) CountDoubt(ctx context.Context) (int, error) {
	now := now()
	return s.count(ctx, "count the devices in doubt", s.read.countDoubt, now.UnixMicro(), now.Add(otp.MaxLease).UnixMicro())
}

// deviceArgs are the values of deviceColumns; checkWrite has seen that the numbers fit. They share nothing with the
// row: its owner may go on with it while the writer, perhaps after a cancelled call, has yet to write it.
func deviceArgs(row otp.Row) []any {
	return []any{
		string(row.Account), int64(row.Revision), row.InDoubt, microsOrNull(row.HeldUntil),
		append([]byte{}, row.Body...), nonNil(row.Vault.Reveal()), row.UnreadAnswers,
	}
}

// bytesOrNull is a copy of b, and NULL for nil.
func bytesOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// nonNil is b, which SQLite would take for NULL if it were nil.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

func scanRow(from scanner) (row otp.Row, err error) {
	var heldUntil sql.NullInt64
	var vault []byte
	err = from.Scan(&row.Account, &row.Revision, &row.InDoubt, &heldUntil, &row.Body, &vault, &row.UnreadAnswers,
		&row.Claim.Serial, &row.Claim.Active)
	row.HeldUntil, row.Vault = timeOrZero(heldUntil), secret.NewBytes(vault)
	return row, err
}
