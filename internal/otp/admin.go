package otp

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// The audit log's words for what administrators do.
const (
	actionUnlock  = "unlock"
	actionDoubt   = "doubt"
	actionForget  = "forget"
	actionDisable = "disable"
	actionEnable  = "enable"
	actionQuota   = "clear quota"
	actionSMS     = "count sms activations"
)

// unlockSlack is how much later than an unlock began a wrong PIN may have been counted that it forgives. The unlock knows the store's
// clock as of the time when an answer left the store, so by that clock it seems to have begun earlier than it did.
const unlockSlack = 500 * time.Millisecond

// Unlock lets the PIN guard of the account forward attempts again, as after a success. The caller must make sure of the PIN
// first: inWebo's own count goes on. A wrong PIN that is counted more than unlockSlack after the call began, and before it is done, goes on
// to count.
// ErrDisabled means that the account is disabled: enable it first.
func (s *Service) Unlock(ctx context.Context, request Request) error {
	began := s.limits.Now() // by the clock of this process
	return s.administer(ctx, request, actionUnlock, keepsSecrets, func(r Record, now time.Time) (Record, error) {
		switch {
		case r.isFirst():
			return r, ErrNoDevice
		case r.Disabled:
			return r, ErrDisabled
		}
		passed := s.limits.Now().Sub(began)
		r.Guard = r.Guard.since(now.Add(unlockSlack - passed))
		return r, nil
	})
}

// ClearQuota forgets the OTPs that were counted for the account, for an operator who knows that inWebo counts fewer: after a
// clock was wrong, or when inWebo's own limit was raised.
func (s *Service) ClearQuota(ctx context.Context, request Request) error {
	return s.administer(ctx, request, actionQuota, keepsSecrets, func(r Record, _ time.Time) (Record, error) {
		if r.isFirst() {
			return r, ErrNoDevice
		}
		r.Quota = Quota{}
		return r, nil
	})
}

// CountActivations adds SMS activations to the count of the account that other clients have made: inWebo counts them, too. The account
// need not have a device.
func (s *Service) CountActivations(ctx context.Context, request Request, used int) error {
	return s.administer(ctx, request, actionSMS, keepsSecrets, func(r Record, _ time.Time) (Record, error) {
		r.Activations += used
		return r, nil
	})
}

// Doubt records that what is stored of the account's device may lag behind inWebo: after a backup was restored, or a
// database failed over with loss. ErrNoDevice means that there is nothing to doubt.
func (s *Service) Doubt(ctx context.Context, request Request) error {
	return s.administer(ctx, request, actionDoubt, keepsSecrets, func(r Record, now time.Time) (Record, error) {
		if r.Device == nil {
			return r, ErrNoDevice
		}
		r = r.withDoubt(now, r.Revision)
		return r, nil
	})
}

// Forget removes the account's device from the store. At inWebo it stays in the user's list of devices. The serial is
// kept for a later enrollment, since a new one would cost one of the devices that the account may have; so are the
// counts of activations, wrong PINs and OTPs, for the account that gets the device next. ErrNoDevice means that there is no device to
// forget.
//
// A record that cannot be opened or decoded is forgotten as well, and what is known of it is kept, with it whether the account is disabled.
func (s *Service) Forget(ctx context.Context, request Request) error {
	return s.administer(ctx, request, actionForget, replacesDevice, Record.forgotten)
}

// ForgetDisabled is Forget for programs: it refuses an account that is not disabled with ErrNotDisabled, so that no device in use is
// forgotten. A record that cannot be decoded makes no OTPs, and is forgotten whether the account is disabled or not.
func (s *Service) ForgetDisabled(ctx context.Context, request Request) error {
	return s.administer(ctx, request, actionForget, replacesDevice, func(r Record, now time.Time) (Record, error) {
		if !r.isFirst() && !r.Disabled && !r.damaged {
			return r, ErrNotDisabled
		}
		return r.forgotten(now)
	})
}

// forgotten returns the record without its device.
func (r Record) forgotten(time.Time) (Record, error) {
	if r.Device == nil && r.Enrollment == nil && !r.damaged {
		return r, ErrNoDevice
	}
	r = r.withLeaseOvertaken().withoutSealed()
	r.Device, r.Enrollment, r.Unread, r.Doubt, r.Blocking = nil, nil, nil, nil, ""
	r.Step, r.MovedBy = r.Step+1, r.Revision // no answer that is still on its way brings the device back
	return r, nil
}

// Disable has the account's calls refused with ErrDisabled from now on, and keeps its device. A conversation that is under way
// ends first. ErrNoDevice means that nothing is stored of the account. A record that cannot be decoded stays as it is.
func (s *Service) Disable(ctx context.Context, request Request) error {
	return s.setDisabled(ctx, request, actionDisable, true)
}

// Enable ends Disable.
func (s *Service) Enable(ctx context.Context, request Request) error {
	return s.setDisabled(ctx, request, actionEnable, false)
}

func (s *Service) setDisabled(ctx context.Context, request Request, action string, disabled bool) error {
	return s.administer(ctx, request, action, keepsBody, func(r Record, _ time.Time) (Record, error) {
		if r.isFirst() {
			return r, ErrNoDevice
		}
		r.Disabled = disabled
		return r, nil
	})
}

// administer changes the record of an account without a lease, in one write with its audit entry. tolerance says which records it can work
// on: one whose secrets cannot be opened, for a change that keepsSecrets; one that cannot be decoded either, for one that
// keepsBody or replacesDevice; and none of these, for a change that needsKeys.
func (s *Service) administer(
	ctx context.Context, request Request, action string, tolerance tolerance, change func(Record, time.Time) (Record, error),
) error {
	c, err := s.enter(ctx, request, action, s.limits.Deadline)
	if err != nil {
		return err
	}
	defer s.finish(c)
	c.tolerance = tolerance
	return s.changeRecord(ctx, c, StageOutcome, outcomeDone, change)
}

// changeRecord stores the record that change returns, with that word in the audit log, when the device has no lease.
func (s *Service) changeRecord(
	ctx context.Context, c *conversation, stage Stage, word string, change func(Record, time.Time) (Record, error),
) error {
	return s.changeRecordAs(ctx, c, stage, func(r Record, now time.Time) (Record, string, error) {
		r, err := change(r, now)
		return r, word, err
	})
}

// changeRecordAs is changeRecord for a change that returns the word for the audit log itself.
func (s *Service) changeRecordAs(
	ctx context.Context, c *conversation, stage Stage, change func(Record, time.Time) (Record, string, error),
) error {
	return s.retryUntilFree(ctx, c, func() error { return s.tryChange(ctx, c, stage, change) })
}

// tryChange reads the record once, and writes what change returns. change gets the record with the revision that the write will have: see
// Record.isFirst. While a conversation has the device leased, the error is ErrBusy.
func (s *Service) tryChange(
	ctx context.Context, c *conversation, stage Stage, change func(Record, time.Time) (Record, string, error),
) error {
	found, err := s.fetch(ctx, c)
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	now := c.now()
	corrected, wasAhead := found.corrected(now)
	if corrected.LeasedAt(now) {
		busy := &RetryAfterError{ErrBusy, corrected.Lease.Until.Sub(now)}
		return s.refused(ctx, c, found, corrected, wasAhead, busy)
	}
	next := corrected
	next.Revision++
	next, outcome, err := change(next, now)
	if err != nil {
		return s.refused(ctx, c, found, corrected, wasAhead, err)
	}
	w, err := c.writeOf(c.nextWriteID(), &found, &next, stage, outcome)
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	w.Over = c.fetchedBody
	if err = s.writeVerified(ctx, CommitAdmin, w); errors.Is(err, ErrHistoryChanged) { // the next try reads it again
		err = ErrConflict
	}
	return err
}

// actionImport is the audit log's word for taking over a device of another client.
const actionImport = "import"

// ForeignDevice is a device that another client has activated, as its file has it.
type ForeignDevice struct {
	Serial   ratchet.Serial
	Identity inwebo.Identity
	Services []inwebo.Service
	Offline  inwebo.Offline
	State    ratchet.State
}

// ErrNotWhole means that a device lacks what an OTP is made of.
var ErrNotWhole = errors.New("the device lacks its id, its serial, its keys, its secret or its service")

// Import makes a device that another client has activated the account's own. It starts in doubt: it is not known whether
// its file is the newest state. The account's serial is that of the device from then on. ErrAlreadyEnrolled means that the
// account has a device, ErrDeviceTaken that another account has this one, ErrNotWhole that what was found is none.
//
// What was counted of the device, whichever account had it, goes on to count: wrong PINs, OTPs and SMS activations. Only a
// success at inWebo, a completed enrollment or an Unlock ends the first.
func (s *Service) Import(ctx context.Context, request Request, found ForeignDevice) error {
	if !found.isWhole() {
		return ErrNotWhole
	}
	origin := uuid.Must(uuid.NewV7()).String()
	return s.administer(ctx, request, actionImport, needsKeys, func(r Record, now time.Time) (Record, error) {
		r, err := s.importable(ctx, r, found)
		if err != nil {
			return r, err
		}
		r.Serial, r.Enrollment, r.Unread = found.Serial, nil, nil
		r.Device = &Device{
			Identity: found.Identity, Services: found.Services, Offline: found.Offline, State: found.State, EnrolledAt: now,
			Origin: origin,
		}
		r.Doubt = nil
		r = r.withDoubt(now, r.Revision)
		r.Step, r.MovedBy, r.Blocking = r.Step+1, r.Revision, ""
		return r, nil
	})
}

// CheckImport returns why Import would refuse the device now, and changes nothing. It does not wait for other calls of the account.
func (s *Service) CheckImport(ctx context.Context, request Request, found ForeignDevice) error {
	if !found.isWhole() {
		return ErrNotWhole
	}
	r, err := s.fetch(ctx, &conversation{request: request, clock: s.limits.Now})
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	_, err = s.importable(ctx, r, found)
	return err
}

// importable returns the record that can get the device, with what was counted of the device so far.
func (s *Service) importable(ctx context.Context, r Record, found ForeignDevice) (Record, error) {
	if r.Device != nil {
		return r, ErrAlreadyEnrolled
	}
	h, err := s.historyOf(ctx, found.Serial)
	if err != nil {
		return r, err
	}
	return r.withLeaseOvertaken().inheriting(h, s.limits.Guard)
}

func (f ForeignDevice) isWhole() bool {
	state := f.State
	hasSecret := state.Secret.IsEmpty() != state.Unopened.IsEmpty() // in one of two forms: known, or as only the PIN opens it
	return f.Identity.ID != "" && f.Serial != "" && len(f.Serial) <= maxSerial && len(f.Services) > 0 &&
		!state.Keys.K0.IsEmpty() && !state.Keys.K1.IsEmpty() && hasSecret
}
