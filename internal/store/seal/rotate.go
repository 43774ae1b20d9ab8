package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

// Rotation seals every record again that is not sealed under the keyring's current key, while the service runs. It has no state of its
// own: another Run continues after a killed one.
//
// It works below the domain. Of a record it changes the sealed secrets, and the revision, which must grow with every Replace. The domain
// compares the revisions inside a record only with those of later leases, which are higher still. A conversation that read the record
// before gets otp.ErrConflict and reads again. A leased record waits until its lease is over.
//
// Copies and backups keep the old seal, and so may need a key that no record needs any more.
type Rotation struct {
	Rows    Lister
	Store   otp.Store // the inner store, below the sealing one; so are the Rows
	Keyring *Keyring
	// Caller is the caller in the audit log.
	Caller string
	// Progress, unless it is nil, is called after every record that was sealed or must wait.
	Progress func(Progress)
}

// Progress counts the records of a rotation.
type Progress struct {
	Found   int // records under other keys, so far
	Sealed  int // of those, under the current key by now
	Waiting int // of those, leased by a conversation or just changed
	Failed  int // of those, not to be opened
}

const (
	// action is the audit log's word for what a rotation does to a record.
	action = "seal-rotate"
	// settleDelay bounds the time from a new current key to the last write sealed under the previous one: refreshDelay until every
	// process uses the new key, and more than one call of the store may take.
	settleDelay = 10*time.Second + refreshDelay
	// pause is the time between two tries of the leased records.
	pause = 250 * time.Millisecond
)

// Run seals until every record is sealed under the current key, or ctx ends. Every process must have the current key before, as those
// on the keyring's own file do: without it a process could neither read a rotated record nor settle an answer for it. Run goes through
// the records twice, the second time when every process seals under the current key, and so takes at least settleDelay, 11 s.
//
// Records that do not open stay as they are; the error then has their number and the reason of the first. An error of the store ends
// the run; another run continues.
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
		return fmt.Errorf("%s cannot be opened, and so not be sealed under another key; the first: %w",
			input.Count(run.progress.Failed, "record"), run.fault)
	}
	return nil
}

// run is one Run of a Rotation.
type run struct {
	Rotation
	progress Progress
	fault    error // of the first record that did not open in this pass
}

// resealAll goes through all records once, and seals those that are due. Leased ones come last.
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

// resealSome tries again the records that had to wait, and returns those that still have to.
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

// reseal seals one record under the current key, if it is still due. later means that it must be tried again: a conversation has leased
// the record, or has just changed it.
func (r *run) reseal(ctx context.Context, account otp.Account) (later bool, err error) {
	row, now, err := r.Store.Fetch(ctx, account)
	switch {
	case errors.Is(err, otp.ErrNotFound):
		r.progress.Sealed++ // it was deleted
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the record of account %q: %w", account, err)
	case !r.isDue(row): // a conversation has sealed it
		r.progress.Sealed++
		return false, nil
	}
	w, err := r.write(row, now)
	switch {
	case errors.Is(err, errLeased):
		return true, nil
	case err != nil:
		r.progress.Failed++
		r.fault = cmp.Or(r.fault, err) // Run returns it when the others are sealed
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

// sleep waits for d, or returns the error of ctx.
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
