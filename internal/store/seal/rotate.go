package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
)

// Rotation seals under the keyring's current key every record that is sealed under another, while the service goes on. It
// keeps no state of its own: one that was killed is resumed by another.
//
// It goes below the domain, and changes of a record nothing but the seal of the vault, and the revision, which is the
// store's and must grow with every Replace. For the domain a higher revision is harmless: what a record's body says of
// revisions — Hold.Revision, Doubt.By, Record.MovedBy — it only ever compares with those of later holds, and they
// become higher still. A conversation that had read the record before meets a conflict, and reads again. A record that
// is held is left to its holder until the hold is over.
//
// A key that no record needs any more may still be needed for copies and backups: they are sealed as they were.
type Rotation struct {
	Rows    Lister
	Store   otp.Store // the store beneath the sealing one, as are the Rows
	Keyring *Keyring
	// Caller is who rotates, in the audit log.
	Caller string
	// Progress, when set, hears of every record that was sealed or must be waited for.
	Progress func(Progress)
}

// Progress is how far a rotation has come.
type Progress struct {
	Found   int // records under other keys, so far
	Sealed  int // of those, under the current key by now
	Waiting int // of those, held by a conversation or just changed
	Failed  int // of those, not to be opened
}

const (
	// action is the audit log's word for what a rotation does to a record.
	action = "seal-rotate"
	// settleDelay is how long a write may be on its way that was sealed before its process saw the new current key: longer
	// than a call of the store may take, after the time that the process may take to see it.
	settleDelay = 10*time.Second + refreshDelay
	// pause lies between two looks at the records that are held.
	pause = 250 * time.Millisecond
)

// Run rotates until no record is left under another key than the current one, or ctx ends. Every process must have
// been given the current key before, as those on the keyring's own file are: without it, it could neither read a record
// that was rotated nor settle an answer for it. Run takes 11 s at least, for it goes through the records once more when
// every process has surely begun to seal under the current key.
//
// Records that do not open are left as they are; the error then says how many, and why the first of them does not. An
// error of the store ends the run, and another run goes on from there.
func (r Rotation) Run(ctx context.Context) error {
	run := &run{Rotation: r}
	noticed := time.Now().Add(settleDelay)
	if err := run.resealAll(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(noticed)); err != nil {
		return err
	}
	if err := run.resealAll(ctx); err != nil {
		return err
	}
	if run.progress.Failed > 0 {
		return fmt.Errorf("%d records stay under other keys, for they do not open; the first: %w", run.progress.Failed, run.fault)
	}
	return nil
}

// run is one Run of a Rotation.
type run struct {
	Rotation
	progress Progress
	fault    error // of the first record that failed in this pass
}

// resealAll seals all records that must be, those that are held last.
func (r *run) resealAll(ctx context.Context) error {
	r.progress.Found -= r.progress.Failed // they are found again
	r.progress.Failed, r.fault = 0, nil
	var waiting []otp.Account
	err := eachRow(ctx, r.Rows, func(row otp.Row) error {
		if !r.isDue(row) {
			return nil
		}
		r.progress.Found++
		later, err := r.reseal(ctx, row.Account)
		if later {
			waiting = append(waiting, row.Account)
			r.progress.Waiting++
		}
		r.report()
		return err
	})
	for err == nil && len(waiting) > 0 {
		if err = sleep(ctx, pause); err == nil {
			waiting, err = r.resealSome(ctx, waiting)
		}
	}
	return err
}

// resealSome looks again at records that had to wait, and gives those that still have to.
func (r *run) resealSome(ctx context.Context, accounts []otp.Account) (waiting []otp.Account, err error) {
	for _, account := range accounts {
		later, err := r.reseal(ctx, account)
		if err != nil {
			return nil, err
		}
		if later {
			waiting = append(waiting, account)
			continue
		}
		r.progress.Waiting--
		r.report()
	}
	return waiting, nil
}

// isDue reports whether the row must be sealed again.
func (r *run) isDue(row otp.Row) bool {
	return !row.Secrets.IsEmpty() && keyOfRow(row) != r.Keyring.Current()
}

// reseal seals one record under the current key, if that is still to be done; later says that it must wait: somebody
// holds the record, or was quicker to change it.
func (r *run) reseal(ctx context.Context, account otp.Account) (later bool, err error) {
	row, now, err := r.Store.Fetch(ctx, account)
	switch {
	case errors.Is(err, otp.ErrNotFound):
		r.progress.Sealed++ // nothing of it is left to seal
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the record of account %q: %w", account, err)
	case !r.isDue(row): // its own conversation has done it
		r.progress.Sealed++
		return false, nil
	}
	w, err := r.write(row, now)
	switch {
	case errors.Is(err, errLeased):
		return true, nil
	case err != nil:
		r.progress.Failed++
		r.fault = cmp.Or(r.fault, err) // which Run tells when the others are sealed
		return false, nil
	}
	switch err := r.Store.Replace(ctx, w); {
	case errors.Is(err, otp.ErrConflict):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("store the record of account %q: %w", account, err)
	}
	r.progress.Sealed++
	return false, nil
}

// errLeased means that a conversation has leased the record, and settles it.
var errLeased = errors.New("the record is leased")

// write returns the row sealed under the current key, with its audit entry. The error is errLeased when that must wait.
func (r *run) write(row otp.Row, now time.Time) (otp.Write, error) {
	row, err := r.Keyring.openRow(row)
	if err != nil {
		return otp.Write{}, err
	}
	record, err := otp.Decode(row)
	switch {
	case err != nil:
		return otp.Write{}, err
	case record.LeasedAt(now):
		return otp.Write{}, errLeased
	}
	row.Revision++
	row, err = r.Keyring.sealRow(row)
	return otp.Write{ID: uuid.NewString(), Row: row, Over: row.Body, AuditEntry: otp.AuditEntry{
		At: now, Account: row.Account, Caller: r.Caller, Action: action, Stage: otp.StageOutcome, Outcome: "done", Step: record.Step,
	}}, err
}

func (r *run) report() {
	if r.Progress != nil {
		r.Progress(r.progress)
	}
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
