package crashtest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// found is how a crash left a device.
type found string

const (
	foundNone    found = "no device" // the crash came before the enrollment was through
	foundIdle    found = "idle"
	foundInDoubt found = "in doubt" // after its hold was over, and inWebo no round ahead
	foundBehind  found = "behind"   // the same, and inWebo one round ahead
)

// inspect opens the store that a crash has left and returns it to see, which says how it found the device, and what should
// not be so.
func (w *harness) inspect(ctx context.Context, dir string, see func(*app.Core) (found, error)) (f found, err error) {
	c, err := settings(dir, w.inwebo.ProtocolURL())
	if err != nil {
		return "", err
	}
	c.Conversation.Deadline, c.Inwebo.ExchangeTimeout = time.Minute, 20*time.Second // a busy machine proves nothing
	core, err := app.OpenCore(ctx, c, true, app.Observers{})
	if err != nil {
		return "", fmt.Errorf("the store does not open: %w", err)
	}
	f, err = see(core)
	core.OTP.Drain(ctx)
	return f, errors.Join(err, integrity(ctx, dir), core.Close())
}

// integrity lets SQLite look over a store that is open.
func integrity(ctx context.Context, dir string) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		return err
	}
	defer db.Close()
	var action string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&action); err != nil || action != "ok" {
		return fmt.Errorf("the integrity check says %q (%w)", action, err)
	}
	return nil
}

// check finds out how a crash left the device, and what should not be so. It asks for OTPs, and so moves the device.
// wait is called to let a lease run out.
func (w *harness) check(ctx context.Context, core *app.Core, wait func(time.Duration)) (found, error) {
	status, err := untilFree(ctx, core, wait)
	if err != nil {
		return "", err
	}
	expected, err := w.expected()
	if err != nil {
		return "", err
	}
	f, err := w.acknowledged.compare(status, w.acknowledged.lastRound(expected), expected.Step)
	err = errors.Join(err, w.acknowledged.audit(ctx, core, expected, expected.Step))
	if f == foundNone {
		_, enrolling := enroll(ctx, core)
		return f, errors.Join(err, enrolling, w.nextOTP(ctx, core, false))
	}
	count, counting := core.CountDoubt(ctx)
	if counting != nil || (count == 1) != (f != foundIdle) {
		err = errors.Join(err, fmt.Errorf("%d devices are counted as in doubt, and this one is %s (%w)", count, f, counting))
	}
	return f, errors.Join(err, w.verify(), w.nextOTP(ctx, core, f == foundBehind))
}

// compare holds what is stored of a device, after every hold is over, against what inWebo has accepted (rounds), and what
// the children have reported (the round of the last OTP).
func (t *acknowledged) compare(status otp.Status, told, accepted uint32) (found, error) {
	switch {
	case status.State == otp.StateNotEnrolled && t.enrolled:
		return foundNone, errors.New("the device was reported as enrolled, and is gone: a step is lost")
	case status.State == otp.StateNotEnrolled:
		return foundNone, nil
	case !t.enrolled: // no caller was told at which step the device begins
		return foundIdle, nil
	}
	stored := uint32(status.Step - t.base)
	f := foundIdle
	switch {
	case status.InDoubt && accepted > stored:
		f = foundBehind
	case status.InDoubt:
		f = foundInDoubt
	}
	var err error
	switch {
	case status.Step < t.stored:
		err = fmt.Errorf("step %d was stored, and is %d again: a step is lost", t.stored, status.Step)
	case stored < told:
		err = fmt.Errorf("the OTP of round %d was told, and round %d is stored: a step is lost", told, stored)
	case stored > max(told, uint32(t.stored-t.base))+2: // the next OTP takes two at most
		err = fmt.Errorf("the OTP of round %d was told, step %d was stored, and round %d is stored: too far", told, t.stored, stored)
	}
	if ahead := int(accepted) - int(stored); ahead < 0 || ahead > 1 || ahead == 1 && f == foundIdle {
		err = errors.Join(err, fmt.Errorf("inWebo accepted %d rounds, %d are stored, and the device is %s", accepted, stored, f))
	}
	return f, err
}

// audit holds the audit log against what inWebo has counted in its accepted rounds, and what the children have reported: every OTP
// has the line of its attempt, and every one that was told the line of its outcome.
func (t *acknowledged) audit(ctx context.Context, core *app.Core, expected inwebosim.DeviceState, accepted uint32) error {
	lines, err := core.Store.AuditAfter(ctx, 0, math.MaxInt32)
	if err != nil {
		return err
	}
	attempts, counted, done := 0, 0, map[uint64]bool{}
	for _, line := range lines {
		switch {
		case line.Action == "otp" && line.Stage == otp.StageAttempt:
			attempts++
		case line.Action == "otp" && line.Outcome == "done":
			done[line.Step] = true
		}
	}
	for _, issued := range expected.OTPs {
		if issued.Step > accepted {
			continue
		}
		counted++
		if slices.Contains(t.otps, issued.OTP) && !done[t.base+uint64(issued.Step)] {
			err = fmt.Errorf("the OTP of round %d was told, and its outcome is not in the audit log", issued.Step)
		}
	}
	if attempts < counted {
		err = errors.Join(err, fmt.Errorf("inWebo counts %d OTPs, and the audit log has %d attempts", counted, attempts))
	}
	return err
}

// verify has inWebo verify every OTP that the children have reported, and makes sure that no finalize was sent twice.
func (w *harness) verify() error {
	var faults []error
	for i, text := range w.acknowledged.otps {
		if !w.inwebo.Verify(text) {
			faults = append(faults, fmt.Errorf("OTP %d was told, and does not verify", i+1))
		}
	}
	expected, err := w.expected()
	if expected.MaxFinalizesPerChallenge > 1 {
		faults = append(faults, errors.New("a finalize was sent twice"))
	}
	return errors.Join(append(faults, err)...)
}

// nextOTP asks for an OTP, and has it verified. Behind a strict inWebo, what the caller must be told is that the device is
// in doubt.
func (w *harness) nextOTP(ctx context.Context, core *app.Core, behind bool) error {
	before, err := w.expected()
	if err != nil {
		return err
	}
	given, err := core.OTP.IssueOTP(ctx, otp.Request{Account: account, Caller: "test"}, secret.NewText(pin))
	if behind && w.inwebo.Knobs().LostFinalize != inwebosim.LostFinalizeLenient {
		status, failure := core.OTP.Status(ctx, account)
		if !errors.Is(err, otp.ErrInDoubt) || failure != nil || !status.InDoubt {
			return fmt.Errorf("after a lost answer, the next OTP says %w, and the device's doubt is %t (%w)", err, status.InDoubt, failure)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("the next OTP says %w", err)
	}
	if !w.inwebo.Verify(given.OTP.Reveal()) {
		return errors.New("the next OTP does not verify")
	}
	after, err := w.expected()
	if (after.StaleProofs > before.StaleProofs) != behind {
		return errors.Join(err, fmt.Errorf("the next OTP was made with old keys: %t, and %t was to be expected", !behind, behind))
	}
	return err
}
