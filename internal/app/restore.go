package app

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// Restore is a store, made of a backup, that is ready to take the place of the one in the data directory. It must be closed.
type Restore struct {
	Accounts int                 // that the new store has
	Doubted  int                 // devices, all of which are in doubt: the doubt epoch is raised
	Damaged  []Unreadable        // records of the backup that cannot be read, and are left as they are
	Lost     []otp.Account       // that have a device in the replaced store, and none in the new one
	Carried  sqlite.Carried      // besides what records have counted
	Unknown  error               // why what the replaced store has counted is not known; nil: it was taken over
	new      *sqlite.Replacement // the new store
}

// PrepareRestore makes a new store of the backup at a path. The service must be stopped, or in maintenance, and is kept from starting
// until Close. Nothing of the present store is changed. The sealing keys that the backup needs must be at hand.
func PrepareRestore(ctx context.Context, c *config.Config, backup, caller string) (_ *Restore, err error) {
	keyring, err := OpenKeyring(c)
	if err != nil {
		return nil, err
	}
	replacement, err := sqlite.Replace(ctx, c.DataDir, backup)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = replacement.Close() // the error that matters is the first
		}
	}()
	usage, err := seal.Count(ctx, replacement)
	if err == nil {
		err = keyring.Check(usage)
	}
	if err != nil {
		return nil, err
	}
	r := &Restore{new: replacement}
	if err = r.prepare(ctx, c, caller); sqlite.IsDamage(err) && replacement.Unreadable() == nil {
		// The backup was checked: what is damaged is the replaced store.
		if err = replacement.Forget(ctx, err); err == nil {
			r = &Restore{new: replacement}
			err = r.prepare(ctx, c, caller)
		}
	}
	return r, err
}

func (r *Restore) prepare(ctx context.Context, c *config.Config, caller string) error {
	r.Unknown = r.new.Unreadable()
	now := time.Now().UTC().Truncate(time.Microsecond)
	if err := r.countAll(ctx, now, limits(c).Guard); err != nil {
		return err
	}
	if r.Unknown == nil {
		if err := r.carryOver(ctx, limits(c).Guard); err != nil {
			return err
		}
	}
	return r.new.Seal(ctx, otp.AuditEntry{Caller: caller, Action: "store-restore", Stage: otp.StageOutcome, Outcome: "done"})
}

// countAll releases every device of the new store, and has what the replaced store has counted go on to count.
func (r *Restore) countAll(ctx context.Context, now time.Time, guard otp.GuardLimits) error {
	for after := otp.Account(""); ; {
		rows, err := r.new.List(ctx, after, page)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].Account
		restored, err := r.restored(ctx, rows, now, guard)
		if err != nil {
			return err
		}
		if err := r.new.Put(ctx, restored); err != nil {
			return err
		}
	}
}

// restored returns the rows that take the place of those. It passes over rows that cannot be read.
func (r *Restore) restored(ctx context.Context, rows []otp.Row, now time.Time, guard otp.GuardLimits) (restored []otp.Row, err error) {
	for _, row := range rows {
		var replaced []otp.Row
		if r.Unknown == nil {
			if replaced, err = r.new.Replaced(ctx, row); err != nil {
				return nil, err
			}
		}
		next, err := otp.Restored(row, replaced)
		if r.Unknown != nil {
			next, err = otp.RestoredUnknown(row, now, guard)
		}
		if err != nil {
			r.Damaged = append(r.Damaged, Unreadable{row.Account, err})
			continue
		}
		r.Accounts++
		if next.Epoch > 0 {
			r.Doubted++
		}
		restored = append(restored, next)
	}
	return restored, nil
}

// carryOver takes over what the replaced store has besides the records that the new one has, too.
func (r *Restore) carryOver(ctx context.Context, guard otp.GuardLimits) (err error) {
	if r.Lost, err = r.new.WithoutDevice(ctx); err != nil {
		return err
	}
	for after := otp.Account(""); ; {
		rows, err := r.new.OnlyReplaced(ctx, after, page)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		var remains []otp.Row
		for _, row := range rows {
			after = row.Account
			if row.Claim.Active {
				r.Lost = append(r.Lost, row.Account)
			}
			if rest, err := otp.Remains(row, guard); err == nil { // otherwise a newer pimsd wrote it
				remains = append(remains, rest)
			}
		}
		if err := r.new.Put(ctx, remains); err != nil {
			return err
		}
	}
	r.Carried, err = r.new.CarryOver(ctx)
	return err
}

// Install puts the new store in the place of the replaced one, and returns the path under which that is kept; it is empty when there
// was none. Whenever the process is killed, the data directory has the one store or the other.
func (r *Restore) Install(ctx context.Context) (aside string, err error) { return r.new.Install(ctx) }

// Close gives up what was not installed, and lets other processes use the store again.
func (r *Restore) Close() error { return r.new.Close() }
