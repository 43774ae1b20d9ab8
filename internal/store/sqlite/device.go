package sqlite

import (
	"bytes"
	"context"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Create is as otp.Store says.
func (s *Store) Create(ctx context.Context, w otp.Write) error {
	if w.Row.Revision != 1 {
		return errors.New("the first row of an account has revision 1")
	}
	return s.put(ctx, w)
}

// Replace is as otp.Store says.
func (s *Store) Replace(ctx context.Context, w otp.Write) error {
	if w.Row.Revision < 2 {
		return otp.ErrConflict // there is no row of revision 0
	}
	return s.put(ctx, w)
}

// put has a write of a record done.
func (s *Store) put(ctx context.Context, w otp.Write) error {
	if err := w.Check(); err != nil {
		return err
	}
	t, id := task{kind: settle, change: writing(w)}, w.ID
	if w.AuditEntry.Stage == otp.StageAttempt {
		t.kind, id = lease, ""
		switch err := s.ensureReserve(ctx); {
		case errors.Is(err, otp.ErrBroken):
			return err
		case err != nil:
			return untouched(err)
		}
	}
	if w.Response != nil {
		t.keep = keeping(w)
	}
	err := s.writer.do(ctx, &job{Task: t, ID: id})
	if t.kind == settle && s.health.settlesUnlogged.Load() > 0 && (errors.Is(err, otp.ErrConflict) || errors.Is(err, otp.ErrExists)) {
		t.tries = triesUnlogged // it may be stored without its line, by which a repeat is known otherwise
		err = s.writer.do(ctx, &job{Task: t, ID: id})
	}
	return err
}

// writeConflict is the error of a write that does not fit.
func writeConflict(w otp.Write) error {
	if w.Row.Revision == 1 {
		return otp.ErrExists
	}
	return otp.ErrConflict
}

// writing returns the change that a write of a record is. The change shares nothing with the write, whose caller may go on with it
// after it has left.
func writing(w otp.Write) change {
	w.Row.Body, w.Over = bytes.Clone(w.Row.Body), bytes.Clone(w.Over)
	if w.Claim != nil {
		claim := *w.Claim
		w.Claim = &claim
	}
	if w.Epoch != nil {
		epoch := *w.Epoch
		w.Epoch = &epoch
	}
	if w.Disabled != nil {
		disabled := *w.Disabled
		w.Disabled = &disabled
	}
	return func(on target) (refusal, failure error) { return on.write(w) }
}

// write is the change that a write of a record is.
func (on target) write(w otp.Write) (refusal, failure error) {
	if refusal, failure = refuseClaim(on, w); refusal != nil || failure != nil {
		return refusal, failure
	}
	if failure = keepFormerDevice(on, w); failure != nil {
		return nil, failure
	}
	text := on.pick(replaceDevice, replaceByScan)
	if w.Row.Revision == 1 {
		text = insertDevice
	}
	changed, err := on.execWith(text, func(p *params) { setDevice(p, w) })
	if err != nil || changed == 0 {
		return unlessRepeated(on, w, err)
	}
	if !on.unlogged {
		err = on.insertLine(w.ID, w.AuditEntry)
	}
	if codeOf(err) == sqlite.ResultConstraintUnique {
		return nil, undone{writeConflict(w)} // the row went back behind a write that it had, or the id is that of another write
	}
	if err == nil {
		err = recordNamed(on, w)
	}
	return nil, err
}

// recordNamed records the claim and the epoch that a write names.
func recordNamed(on target, w otp.Write) (err error) {
	if w.Claim != nil {
		_, err = on.exec(on.pick(updateClaim, updateClaimByScan), w.Claim.Serial, w.Claim.Active, string(w.Row.Account))
	}
	if err == nil && w.Epoch != nil {
		_, err = on.exec(on.pick(updateEpoch, updateEpochByScan), int64(*w.Epoch), string(w.Row.Account))
	}
	return err
}

// refuseClaim refuses a write that claims the device of another account, or was decided on an outdated history of it, unless it does not
// fit anyway or is stored already.
func refuseClaim(on target, w otp.Write) (refusal, failure error) {
	if w.Claim == nil || !w.Claim.Active {
		return nil, nil
	}
	taken, _, err := one(on.conn, (*row).flag, on.pick(findClaim, findClaimByScan), w.Claim.Serial, string(w.Row.Account))
	if err == nil && taken {
		refusal = otp.ErrDeviceTaken
	} else if err == nil {
		refusal, err = refuseHistory(on, w)
	}
	if err != nil || refusal == nil {
		return nil, err
	}
	switch known, revision, err := writtenBefore(on, w); {
	case err != nil:
		return nil, err
	case known && revision >= w.Row.Revision:
		return errStored, nil
	case revision != w.Row.Revision-1:
		return writeConflict(w), nil
	}
	return refusal, nil
}

// unlessRepeated finds out why a write does not fit: it is stored already, which is well, or it is refused.
func unlessRepeated(on target, w otp.Write, err error) (refusal, failure error) {
	if err != nil {
		return nil, err
	}
	known, revision, err := writtenBefore(on, w)
	if err != nil {
		return nil, err
	}
	if !known || revision < w.Row.Revision { // the row may have gone back behind a write that it had
		return writeConflict(w), nil
	}
	return nil, nil
}

// writtenBefore returns whether a write of that id is stored, and the revision of the account's row, which is 0 if there is none.
// Without the audit log, a write is known while the row is the one that it writes.
func writtenBefore(on target, w otp.Write) (known bool, revision uint64, err error) {
	text, args := on.pick(findWrite, findWriteByScan), []any{w.ID, string(w.Row.Account)}
	if on.unlogged {
		text, args = on.pick(findSame, findSameByScan), []any{string(w.Row.Account), w.Row.Body, w.Row.Secrets.Reveal(), flagOrNil(w.Disabled)}
	}
	_, _, err = one(on.conn, func(r *row) error {
		known, revision = r.flag(), r.number()
		return nil
	}, text, args...)
	return known, revision, err
}

// Fetch is as otp.Store says.
func (s *Store) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	found, err := s.snapshot(ctx, account, "")
	if err == nil && found.Row.Revision == 0 {
		err = otp.ErrNotFound
	}
	return found.Row, found.Now, err
}

// CountUnreadAnswers returns the number of kept finalize answers that could not be read.
func (s *Store) CountUnreadAnswers(ctx context.Context) (int, error) {
	return s.count(ctx, "count the answers that could not be read", countUnread)
}

// List is as otp.Store says.
func (s *Store) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	rows, err := list(ctx, s, "list the records", readListedInEpoch, listDevices, string(after), limit)
	if isDamage(err) {
		return s.listSingly(ctx, after, limit)
	}
	return rows, err
}

// setDevice sets deviceColumns, and for a row that replaces another one the body of that. Write.Check has seen that the numbers fit.
func setDevice(p *params, w otp.Write) {
	setRow(p, w.Row, w.SameSecrets)
	p.all([]any{flagOrNil(w.Disabled)})
	if w.Row.Revision > 1 {
		p.blobOrNull(w.Over)
	}
}

// flagOrNil returns the value that flag points to, for params.all.
func flagOrNil(flag *bool) any {
	if flag == nil {
		return nil
	}
	return *flag
}

// setRow sets deviceColumns but disabled; the parameters of the secrets are NULL if those stay as they are stored.
func setRow(p *params, row otp.Row, sameVault bool) {
	p.text(string(row.Account))
	p.integer(int64(row.Revision))
	p.flag(row.InDoubt)
	p.atOrNull(row.LeasedUntil)
	p.blob(row.Body)
	if sameVault {
		p.null()
		p.null()
		return
	}
	p.blob(row.Secrets.Reveal())
	p.integer(int64(row.UnreadAnswers))
}

// readRow reads listedColumns.
func readRow(r *row) otp.Row {
	return otp.Row{
		Account: otp.Account(r.text()), Revision: r.number(), InDoubt: r.flag(), LeasedUntil: r.atOrZero(),
		Body: r.blob(), Secrets: secret.NewBytes(r.blob()),
		UnreadAnswers: r.count(), Disabled: r.flag(), Claim: otp.Claim{Serial: r.text(), Active: r.flag()}, Epoch: r.number(),
	}
}

// readListed reads listedColumns, and whether the row is a former one if there is such a column. Of a row with a value that it cannot
// have it returns what can be read, and an empty Body: it must not keep a listing from the others.
func readListed(r *row) (otp.Row, error) {
	listed := readRow(r)
	if !r.atEnd() {
		listed.Former = r.flag()
	}
	if r.err != nil {
		listed.Body, listed.Secrets = nil, secret.Bytes{}
	}
	return listed, nil
}
