package otp_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// unopening is a store that does not open the vaults of its rows.
type unopening struct{ otp.Store }

func (s unopening) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	row, now, err := s.Store.Fetch(ctx, account)
	if err == nil && !row.Secrets.IsEmpty() {
		row.Unopened, err = true, otp.ErrSealed
	}
	return row, now, err
}

func (s unopening) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	return s.Store.Update(ctx, account, key, func(found otp.Snapshot) otp.Decision {
		if !found.Row.Secrets.IsEmpty() {
			found.Row.Unopened, found.Fault = true, otp.ErrSealed
		}
		d := decide(found)
		if d.Write != nil {
			d.Write.Row.Unopened = false
		}
		return d
	})
}

func (s unopening) Replace(ctx context.Context, w otp.Write) error {
	w.Row.Unopened = false
	return s.Store.Replace(ctx, w)
}

func serviceOn(t *testing.T, store otp.Store, e *enrollee) *otp.Service {
	t.Helper()
	service := otp.New(store, wire(t, e.sim.ProtocolURL(), time.Minute), generous(), nil)
	t.Cleanup(func() { drained(t, service) })
	return service
}

// What administrators change of a record without its keys leaves the vault as it is: with the keys, the device makes OTPs.
func TestAmendmentsKeepAVaultThatIsNotOpened(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	recordSecrets := e.row(t).Secrets.Reveal()
	service := serviceOn(t, unopening{e.memory}, e)
	for _, step := range []struct {
		name   string
		change func(context.Context, otp.Request) error
	}{
		{"doubt", service.Doubt},
		{"unlock", service.Unlock},
		{"clear the quota", service.ClearQuota},
		{"disable", service.Disable},
		{"enable", service.Enable}, // in this order: a disabled account gets no OTP
	} {
		if err := step.change(t.Context(), e.request()); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	if !bytes.Equal(e.row(t).Secrets.Reveal(), recordSecrets) {
		t.Error("the vault was changed")
	}
	if status, err := service.Status(t.Context(), e.account); err != nil || !status.InDoubt || !status.Activated {
		t.Errorf("the status is %+v, %v", status, err)
	}
	if _, err := service.IssueOTP(t.Context(), e.request(), rightPIN); !errors.Is(err, otp.ErrSealed) {
		t.Errorf("an OTP without keys: %v", err)
	}
	e.mustIssue(t)
}

// An enrollment that inWebo refuses costs nothing of a device whose keys are only missing.
func TestEnrollmentThatFailsKeepsAVaultThatIsNotOpened(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	recordSecrets := e.row(t).Secrets.Reveal()
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindErr, Match: activateSetup.match, Err: "NOK:CODE", Times: 1}))
	service := serviceOn(t, unopening{e.memory}, e)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
	if !errors.Is(err, otp.ErrSMSCode) {
		t.Fatalf("the enrollment ends with %v", err)
	}
	if !bytes.Equal(e.row(t).Secrets.Reveal(), recordSecrets) {
		t.Error("the vault was changed")
	}
	e.mustIssue(t)
}

// What is left of a damaged record keeps its lease, its serial, and of the PIN guard one guess.
func TestForgettingADamagedRecord(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	whole, serial := e.row(t), e.record(t).Serial
	damage := func(heldFor time.Duration) {
		row := whole
		row.Body, row.Claim = []byte("{"), otp.Claim{Serial: string(serial), Active: true}
		if heldFor > 0 {
			row.LeasedUntil = time.Now().Add(heldFor)
		}
		e.memory.Restore(row)
	}
	service := serviceOn(t, e.memory, e)

	damage(time.Minute)
	limits := generous()
	limits.QueueWait = 0
	hasty := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits, nil)
	defer drained(t, hasty)
	if err := hasty.Forget(t.Context(), e.request()); !errors.Is(err, otp.ErrBusy) {
		t.Errorf("a record that a conversation has leased: %v", err)
	}
	damage(0)
	if err := service.Doubt(t.Context(), e.request()); !errors.Is(err, otp.ErrStore) {
		t.Errorf("doubting a record that is damaged: %v", err)
	}
	must(t, service.Forget(t.Context(), e.request()))
	r := e.record(t)
	if r.Device != nil || r.Serial != serial || r.Guard.Wrong != max(0, generous().Guard.Attempts-1) {
		t.Errorf("the record is %+v", r)
	}
	rows, err := e.memory.List(t.Context(), "", 1)
	if err != nil || rows[0].Claim != (otp.Claim{Serial: string(serial)}) {
		t.Errorf("the claim is %+v, %v", rows[0].Claim, err)
	}
	e.mustEnroll(t, otp.EnrollRequest{})
	e.mustHaveOneSerial(t)
}
