package otp

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// actionImport is the audit log's word for taking over a device of another client.
const actionImport = "import"

// Found is a device that another client has activated, as its file has it.
type Found struct {
	Serial   ratchet.Serial
	Identity inwebo.Identity
	Services []inwebo.Service
	Offline  inwebo.Offline
	State    ratchet.State
}

// ErrNotWhole says that a device lacks what an OTP is made of.
var ErrNotWhole = errors.New("the device lacks its id, its serial, its keys, its secret or its service")

// Import makes a device that another client has activated the account's own. It starts in doubt: it is not known whether
// its file is the newest state. The account's serial is that of the device from then on. ErrAlreadyEnrolled says that the
// account has a device, ErrDeviceTaken that another account has this one, ErrNotWhole that what was found is none.
//
// What was counted of the device, whichever account had it, goes on to count: wrong PINs, OTPs and SMS activations. Only a
// success at inWebo, a completed enrollment or an Unlock ends the first.
func (s *Service) Import(ctx context.Context, ask Ask, found Found) error {
	if !found.isWhole() {
		return ErrNotWhole
	}
	origin := uuid.Must(uuid.NewV7()).String()
	return s.amend(ctx, ask, actionImport, needsKeys, func(r Record, now time.Time) (Record, error) {
		r, err := s.importable(ctx, r, found)
		if err != nil {
			return r, err
		}
		r.Serial, r.Enrolment, r.Unread = found.Serial, nil, nil
		r.Device = &Device{
			Identity: found.Identity, Services: found.Services, Offline: found.Offline, State: found.State, EnrolledAt: now,
			Origin: origin,
		}
		r.Doubt = (*Doubt)(nil).deeper(now, r.Revision)
		r.Step, r.MovedBy, r.Blocking = r.Step+1, r.Revision, ""
		return r, nil
	})
}

// CheckImport returns the error that Import would return now, and changes nothing.
func (s *Service) CheckImport(ctx context.Context, ask Ask, found Found) error {
	if !found.isWhole() {
		return ErrNotWhole
	}
	r, err := s.fetch(ctx, &conversation{ask: ask, clock: s.limits.Now})
	if err != nil {
		return because(ErrStore, err)
	}
	_, err = s.importable(ctx, r, found)
	return err
}

// importable returns the record that can get the device, with what was counted of the device so far.
func (s *Service) importable(ctx context.Context, r Record, found Found) (Record, error) {
	if r.Device != nil {
		return r, ErrAlreadyEnrolled
	}
	h, err := s.historyOf(ctx, found.Serial)
	if err != nil {
		return r, err
	}
	return r.released().inheriting(h, s.limits.Guard)
}

func (f Found) isWhole() bool {
	state := f.State
	return f.Identity.ID != "" && f.Serial != "" && len(f.Serial) <= maxSerial && len(f.Services) > 0 &&
		!state.Keys.K0.IsEmpty() && !state.Keys.K1.IsEmpty() &&
		state.Secret.IsEmpty() != state.Unopened.IsEmpty()
}
