package otp

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// actionEnroll is the audit log's word for enrolling a device.
const actionEnroll = "enroll"

// EnrollmentDeadlines is how many deadlines of an OTP an enrollment has: it makes three exchanges, and an SMS activation
// that runs out of time in the middle is lost.
const EnrollmentDeadlines = 2

// EnrollRequest is what Enroll needs to enroll a device.
type EnrollRequest struct {
	SMSCode secret.Text
	PIN     secret.Text
	// Replace allows a new device where the account has one, which stays until the new one is stored. A device that no proof
	// has confirmed needs none: its caller was told that the enrollment failed. With Replace the record of the account may be one that
	// cannot be opened, whose device stays until inWebo has activated the new one, or one that cannot be decoded.
	Replace bool
	// Force allows an activation beyond ActivationLimits.Refuse.
	Force bool
	// PINAnyway goes on although inWebo asks for no PIN, which this package always sends: the SMS code may be spent in vain.
	PINAnyway bool
	// Progress, if set, is called before each step.
	Progress func(EnrollmentStep)
}

// tolerance returns which records the enrollment can work on.
func (e EnrollRequest) tolerance() tolerance {
	if e.Replace {
		return replacesDevice
	}
	return needsKeys
}

// EnrollmentStep is what an enrollment is about to do.
type EnrollmentStep string

// The steps of an enrollment, in their order.
const (
	StepOpen     EnrollmentStep = "opening the activation with the SMS code"
	StepActivate EnrollmentStep = "activating the device"
	StepSecret   EnrollmentStep = "giving inWebo the secret of the device" //nolint:gosec // names a step
	StepStore    EnrollmentStep = "storing the device"
)

// Enroll makes the account's device with an SMS code and a PIN (docs/protocol.md §3). When it returns no error, the
// device is known to inWebo and durable here. The serial is drawn once for an account, however the enrollment ends:
// after a failure, call Enroll again with a new SMS code. The count of activations is returned with an error, too.
//
// It takes at most the queue's wait and EnrollmentDeadlines deadlines.
func (s *Service) Enroll(ctx context.Context, request Request, e EnrollRequest) (Activations, error) {
	c, err := s.enter(ctx, request, actionEnroll, EnrollmentDeadlines*s.limits.Deadline)
	if err != nil {
		return Activations{}, err
	}
	defer s.finish(c)
	c.tolerance = e.tolerance()
	purpose := forEnrollment{replace: e.Replace, force: e.Force}
	if purpose.drawn, err = s.newSerial(); err != nil {
		return Activations{}, wrapCause(ErrStore, err)
	}
	err = s.leaseForEnrollment(ctx, c, purpose)
	var used Activations
	if !c.detached { // otherwise another goroutine uses the record
		used = s.limits.Activations.check(c.record.Activations)
	}
	if err != nil {
		return used, err
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), c.deadline.Add(-settleReserve))
	defer cancel()
	err = (&activation{service: s, call: c, enroll: e}).run(ctx)
	if !c.detached { // the settle does not count an activation that never reached inWebo
		used = s.limits.Activations.check(c.record.Activations)
	}
	return used, attempted(err)
}

// forEnrollment leases the record of an account for the enrollment of a device.
type forEnrollment struct {
	replace, force bool
	drawn          ratchet.Serial // for an account that has none, or must not use the one that it has
	serialTaken    bool           // ErrDeviceTaken was returned: another account has the device with the account's serial
	history        History
}

// historyNeeded is the error of a forEnrollment that lacks the history of a serial.
type historyNeeded struct{ serial ratchet.Serial }

func (*historyNeeded) Error() string { return "the history of the account's serial was not read" }

// maxLeaseSteps is how often an enrollment may learn, by a lease that is refused, what it must know for the next.
const maxLeaseSteps = 4

// leaseForEnrollment acquires the lease. A refusal for want of the serial's history, or because another account has the device with that
// serial, is tried again with what it says.
func (s *Service) leaseForEnrollment(ctx context.Context, c *conversation, purpose forEnrollment) (err error) {
	for range maxLeaseSteps {
		if err = s.acquireLease(ctx, c, purpose); err == nil {
			err = s.leaseStored(ctx, c)
		}
		needed, isNeeded := errors.AsType[*historyNeeded](err)
		if errors.Is(err, ErrHistoryChanged) {
			needed, isNeeded = &historyNeeded{ratchet.Serial(purpose.history.Serial)}, true
		}
		switch {
		case isNeeded:
			if purpose.history, err = s.historyOf(ctx, needed.serial); err != nil {
				return err
			}
		case errors.Is(err, ErrDeviceTaken) && !purpose.serialTaken:
			purpose.serialTaken = true
		default:
			return err
		}
	}
	return &RetryAfterError{ErrBusy, maxPause} // the account's serial keeps changing
}

// prepare returns r with an enrollment. The account keeps its serial, unless it has none, or has no device while another account has the
// device with that serial: then it gets the serial that was drawn.
func (p forEnrollment) prepare(r Record, _ string, _ ClockReading, limits *Limits) (_ Record, err error) {
	// While the account does not claim its serial, other accounts may have the device, and count of it what this one must go on from.
	if !p.serialTaken && r.Serial != "" && !r.claim().Active {
		if p.history.Serial != string(r.Serial) {
			return r, &historyNeeded{r.Serial}
		}
		if r, err = r.inheriting(p.history, limits.Guard); err != nil {
			return r, err
		}
	}
	if err := mayEnroll(r, limits, p.replace, p.force); err != nil {
		return r, err
	}
	drawsSerial := r.Serial == "" || p.serialTaken && r.Device == nil
	if drawsSerial {
		r.Serial, r.Tenure = p.drawn, 1
	}
	// An earlier enrollment that a kept answer may complete stays until inWebo has activated another device.
	if drawsSerial || !r.mayBeCompleted() {
		r.Enrollment = &Enrollment{Phase: PhaseEnrolling, Device: Device{Identity: inwebo.Unactivated()}}
	}
	r.Activations++
	return r, nil
}

// deviceIDBytes is the length of a device id: that of an Android id, which the device ids of phones are.
const deviceIDBytes = 8

func (s *Service) newSerial() (ratchet.Serial, error) {
	deviceID := make([]byte, deviceIDBytes)
	if _, err := io.ReadFull(s.random, deviceID); err != nil {
		return "", fmt.Errorf("draw a device id: %w", err)
	}
	return ratchet.NewSerial(hex.EncodeToString(deviceID), s.random)
}

// mayEnroll returns why no device may be enrolled for the account of the record.
func mayEnroll(r Record, limits *Limits, replace, force bool) error {
	switch {
	case r.Device != nil && !r.Device.Unconfirmed && !replace:
		return ErrAlreadyEnrolled
	case limits.Activations.check(r.Activations).Exhausted && !force:
		return ErrActivations
	default:
		return nil
	}
}

// CheckEnroll returns why Enroll would be refused before inWebo is asked anything, and changes nothing.
func (s *Service) CheckEnroll(ctx context.Context, request Request, e EnrollRequest) (Activations, error) {
	c, err := s.enter(ctx, request, actionEnroll, s.limits.Deadline)
	if err != nil {
		return Activations{}, err
	}
	defer s.finish(c)
	c.tolerance = e.tolerance()
	found, err := s.fetch(ctx, c)
	if err != nil {
		return Activations{}, wrapCause(ErrStore, err)
	}
	found, _ = found.corrected(c.now())
	used := s.limits.Activations.check(found.Activations)
	switch err := mayEnroll(found, &s.limits, e.Replace, e.Force); {
	case found.Disabled:
		return used, ErrDisabled
	case err != nil:
		return used, err
	case found.LeasedAt(c.now()):
		return used, &RetryAfterError{ErrBusy, found.Lease.Until.Sub(c.now())}
	default:
		return used, s.acquirePermit(c)
	}
}

// actionSMSCode is the audit log's word for asking inWebo about an account by an SMS code.
const actionSMSCode = "smscode"

// HasPIN asks inWebo whether the account that the SMS code was sent for has a PIN, that is, whether it was enrolled
// before. It makes the activate setup and nothing else: that spends neither the code nor one of the account's
// activations, which is what a finalize does (docs/protocol.md §3, §7).
//
// Nothing of a device moves, so it takes no lease, and an account that has no record gets none. A process that dies over it
// leaves no doubt behind.
func (s *Service) HasPIN(ctx context.Context, request Request, code secret.Text) (bool, error) {
	c, err := s.enter(ctx, request, actionSMSCode, s.limits.Deadline)
	if err != nil {
		return false, err
	}
	defer s.finish(c)
	c.tolerance = keepsSecrets
	if found, err := s.fetch(ctx, c); err == nil && found.Disabled { // the answer does not depend on a record that cannot be read
		return false, ErrDisabled
	}
	if err := s.acquirePermit(c); err != nil {
		return false, err
	}
	if err := s.appendAudit(ctx, c, StageAttempt, ""); err != nil {
		return false, err
	}
	s.setDeadline(c)
	ctx = context.WithoutCancel(ctx) // what was asked is audited, also when the caller hangs up
	asking, cancel := context.WithDeadline(ctx, c.deadline.Add(-settleReserve))
	defer cancel()
	setup, o := s.askPINMode(asking, code)
	c.report(o)
	if err := s.auditSetup(ctx, c, o); err != nil && o.err == nil {
		return false, attempted(err)
	}
	return setup.PINMode&inwebo.PINExisting != 0, attempted(o.err)
}

// errNothingToStore ends a change of a record that would change nothing.
var errNothingToStore = errors.New("nothing to store")

// auditSetup appends the outcome of the setup to the audit log, together with what it says of a record that is there.
func (s *Service) auditSetup(ctx context.Context, c *conversation, o outcome) error {
	word := c.auditWord(o.err)
	if o.blocking != "" {
		err := s.changeRecord(ctx, c, StageOutcome, word, func(r Record, _ time.Time) (Record, error) {
			if r.isFirst() {
				return r, errNothingToStore
			}
			r.Blocking = o.blocking
			return r, nil
		})
		if !errors.Is(err, errNothingToStore) {
			return err
		}
	}
	return s.appendAudit(ctx, c, StageOutcome, word)
}

// askPINMode makes the activate setup, and repeats it once when the network failed.
func (s *Service) askPINMode(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, outcome) {
	s.setupBudget.Earn()
	setup, err := s.inwebo.ActivateSetup(ctx, code)
	if s.maySetupAgain(ctx, err) {
		setup, err = s.inwebo.ActivateSetup(ctx, code)
	}
	if err != nil {
		return setup, asNeverSent(blameSMSCode(setupFailed(err)))
	}
	return setup, outcome{result: accepted}
}
