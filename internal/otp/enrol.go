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

// EnrolmentDeadlines is how many deadlines of an OTP an enrolment has: it makes three exchanges, and an SMS activation
// that runs out of time in the middle is lost.
const EnrolmentDeadlines = 2

// Enrolling is what enrolling a device takes.
type Enrolling struct {
	SMSCode secret.Text
	PIN     secret.Text
	// Replace allows a new device where the account has one, which stays until the new one is stored. A device that no proof
	// has confirmed needs none: its enrollment was told as failed. With Replace the record of the account may be one that
	// cannot be opened, whose device stays until inWebo has activated the new one, or one that cannot be decoded.
	Replace bool
	// Force allows an activation beyond ActivationLimits.Refuse.
	Force bool
	// Progress, when set, hears of each step before it is made.
	Progress func(EnrolmentStep)
}

// EnrolmentStep is what an enrolment is about to do.
type EnrolmentStep string

// The steps of an enrolment, in their order.
const (
	StepOpen     EnrolmentStep = "opening the activation with the SMS code"
	StepActivate EnrolmentStep = "activating the device"
	StepSecret   EnrolmentStep = "giving inWebo the secret of the device" //nolint:gosec // names a step
	StepStore    EnrolmentStep = "storing the device"
)

// Enroll makes the account's device with an SMS code and a PIN (docs/protocol.md §3). When it returns no error, the
// device is known to inWebo and durable here. The serial is drawn once for an account, whatever becomes of the enrolment:
// after a failure the way on is a new SMS code and the same call. How much the account has used up is told in any case.
//
// It takes at most the queue's wait and EnrolmentDeadlines deadlines.
func (s *Service) Enroll(ctx context.Context, ask Ask, e Enrolling) (Activations, error) {
	c, err := s.enter(ctx, ask, actionEnroll, EnrolmentDeadlines*s.limits.Deadline)
	if err != nil {
		return Activations{}, err
	}
	defer s.finish(c)
	if e.Replace {
		c.tolerance = replacesDevice
	}
	var used Activations
	taken := false // another account has the device of the account's serial
	prepare := func(r Record, _ time.Time) (Record, error) {
		if !taken && r.Serial != "" && !r.claim().Active { // other accounts may have had the device since
			var err error
			if r, err = s.inherited(ctx, r, r.Serial); err != nil {
				return r, err
			}
		}
		used = s.limits.Activations.judge(r.Activations)
		if r.Device != nil && !r.Device.Unconfirmed && !e.Replace {
			return r, ErrAlreadyEnrolled
		}
		if used.Exhausted && !e.Force {
			return r, ErrActivations
		}
		return s.enrolling(r, taken)
	}
	if err = s.take(ctx, c, prepare); errors.Is(err, ErrDeviceTaken) {
		taken = true
		err = s.take(ctx, c, prepare)
	}
	if err != nil {
		return used, err
	}
	used = s.limits.Activations.judge(c.record.Activations)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), c.deadline.Add(-settleReserve))
	defer cancel()
	err = (&activation{Service: s, conversation: c, Enrolling: e}).run(ctx)
	if !c.left { // and so the record is ours to read: one that never reached inWebo is not counted any more
		used = s.limits.Activations.judge(c.record.Activations)
	}
	return used, err
}

// enrolling is the record of an account whose enrolment begins: it has a serial, drawn now only if it had none, or if
// another account has the device of that one.
func (s *Service) enrolling(r Record, taken bool) (Record, error) {
	if r.Serial == "" || taken && r.Device == nil {
		serial, err := s.newSerial()
		if err != nil {
			return r, because(ErrStore, err)
		}
		r.Serial, r.Tenure = serial, 1
	}
	r.Enrolment = &Enrolment{Phase: PhaseEnrolling, Device: Device{Identity: inwebo.Unactivated()}}
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
