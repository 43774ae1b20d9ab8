package otp

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// A device is known by its serial. inWebo counts wrong PINs, OTPs and SMS activations by the device, whichever account has it here. So an
// account that gets a device goes on from what was counted of it before.
//
// For example, alice's device is forgotten and imported for bob. Bob's record then has the wrong PINs that alice's record has counted. If
// bob changes to another device, the store keeps the row that he had as that of a former device (Store.BySerial), and when alice imports
// the first device again, her record has what bob has counted.
//
// A tenure is the time for which one account has a device. The tenures of a serial are numbered: the record with the highest Tenure is the
// last that has counted, and what earlier ones counted may be forgiven since.

// maxSerial is the longest serial that a store claims, in bytes.
const maxSerial = 256

// historyOf reads the history of a serial from the store.
func (s *Service) historyOf(ctx context.Context, serial ratchet.Serial) (History, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	rows, err := s.store.BySerial(ctx, string(serial))
	if err != nil {
		return History{}, wrapCause(ErrStore, err)
	}
	return History{string(serial), rows}, nil
}

// inheriting returns r, which is about to get the device of the history, with what is counted of the device by the account that
// had it last. Where that is not known, everything that may be newest counts. ErrDeviceTaken means that an account has it now.
// The write of the record is refused with ErrHistoryChanged if another account has changed the history meanwhile.
func (r Record) inheriting(h History, guard GuardLimits) (Record, error) {
	serial := ratchet.Serial(h.Serial)
	var newest uint64
	if r.Serial == serial {
		newest = r.Tenure
	}
	var others []Record
	for _, row := range h.Rows {
		if row.Account == r.Account && (!row.Former || r.Serial == serial && row.Revision < r.Revision) {
			continue // r is what became of this row
		}
		if row.Claim.Active {
			return r, ErrDeviceTaken
		}
		other, err := decodeBody(row)
		if err != nil { // it must not keep the device from being used
			other = Record{Guard: guard.unknown()}
		}
		newest, others = max(newest, other.Tenure), append(others, other)
	}
	if r.Serial == serial && !r.mayHaveCounted(newest) { // another account had the device since: its record says what counts
		r.Guard, r.Quota = Guard{}, Quota{}
	}
	for _, other := range others {
		if other.mayHaveCounted(newest) {
			r = r.counting(other)
		}
	}
	r.Tenure, r.inherited = newest+1, &h
	return r, nil
}

// mayHaveCounted reports whether the record may be the one that counted last for its device, when newest is the highest tenure.
// A restored store can have two of that tenure, and of a damaged record the tenure is not known.
func (r *Record) mayHaveCounted(newest uint64) bool { return r.Tenure == newest || r.Tenure == 0 }

// joined returns what counts of a device of which two accounts have counted g and other.
func (g Guard) joined(other Guard) Guard {
	g.Wrong = max(g.Wrong, other.Wrong)
	if other.WrongAt.After(g.WrongAt) {
		g.WrongAt = other.WrongAt
	}
	g.Attempts = union(g.Attempts, other.Attempts, func(a, b Attempt) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Conversation, b.Conversation))
	})
	return g
}

// joined is as for a Guard.
func (q Quota) joined(other Quota) Quota {
	return Quota{union(q.Issues, other.Issues, func(a, b Issue) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Conversation, b.Conversation))
	})}
}

// union returns the elements of both in the order of compare, each once.
func union[T any](a, b []T, compare func(T, T) int) []T {
	both := slices.Concat(a, b)
	slices.SortFunc(both, compare)
	return slices.CompactFunc(both, func(a, b T) bool { return compare(a, b) == 0 })
}

// Restored returns the row of an account as it is in a store that was restored from a backup: no conversation leases it, and its
// revision is higher than any that the replaced store had. That its device is in doubt follows from the doubt epoch of the store,
// which the restore raises.
//
// replaced are rows of the store that the backup replaces: those of the same account, and those of the same device. The wrong PINs, OTPs
// and SMS activations that they have counted go on to count. Of a row that cannot be read, only the revision counts. Secrets are
// neither read nor changed.
func Restored(row Row, replaced []Row) (Row, error) {
	r, err := decodeBody(row)
	if err != nil {
		return Row{}, err
	}
	for _, other := range replaced {
		old, err := decodeBody(other)
		if err == nil {
			r = r.counting(old)
		}
		if other.Account == row.Account {
			r.Revision = max(r.Revision, other.Revision)
		}
	}
	return r.recovered(row)
}

// RestoredUnknown is Restored where nothing is known of the replaced store: until inWebo accepts a proof of the account, the guard
// forwards at most one more attempt.
func RestoredUnknown(row Row, now time.Time, limits GuardLimits) (Row, error) {
	r, err := decodeBody(row)
	if err != nil {
		return Row{}, err
	}
	// With a limit of 1 there is nothing to add: the guard never forwards more than one.
	if least := limits.Attempts - 1; r.Guard.Wrong < least {
		r.Guard.Wrong, r.Guard.WrongAt = least, now
	}
	return r.recovered(row)
}

// Remains returns what is left of the row of an account that the replaced store has and the backup does not: the serial, and what was
// counted, but no device. So a new enrollment costs what it would have cost without the restore.
//
// Of a row that is damaged, what remains has one attempt left: what was counted is not known.
func Remains(row Row, guard GuardLimits) (Row, error) {
	r, err := decodeBody(row)
	switch {
	case errors.Is(err, ErrDamaged):
		r = row.remains(guard)
	case err != nil:
		return Row{}, err
	}
	r.Device, r.Enrollment, r.Doubt, r.Blocking = nil, nil, nil, ""
	row.Secrets, row.UnreadAnswers, row.Claim.Active, row.Epoch = secret.Bytes{}, 0, false, 0
	return r.recovered(row)
}

// counting returns r with what another record has counted of the same account or device.
func (r Record) counting(other Record) Record {
	r.Guard, r.Quota = r.Guard.joined(other.Guard), r.Quota.joined(other.Quota)
	r.Activations = max(r.Activations, other.Activations)
	r.Tenure = max(r.Tenure, other.Tenure)
	return r
}

// recovered returns the row that takes the place of row, without a lease.
func (r Record) recovered(row Row) (Row, error) {
	r.Revision++
	r = r.withLeaseOvertaken()
	text, err := encodeBody(&r)
	if err != nil {
		return Row{}, err
	}
	row.Revision, row.InDoubt, row.LeasedUntil, row.Body = r.Revision, r.Doubt != nil, time.Time{}, text
	return row, nil
}
