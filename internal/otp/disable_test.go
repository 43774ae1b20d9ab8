package otp_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// A disabled account keeps its device, and none of its calls reaches inWebo until it is enabled.
func TestDisabledAccountKeepsItsDevice(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := serviceOn(t, e.memory, e)
	must(t, service.Disable(t.Context(), e.request()))
	before := e.record(t)
	for name, call := range map[string]func(context.Context) error{
		"an OTP": func(ctx context.Context) error {
			_, err := service.IssueOTP(ctx, e.request(), rightPIN)
			return err
		},
		"an enrollment": func(ctx context.Context) error {
			_, err := service.Enroll(ctx, e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
			return err
		},
		"an SMS code": func(ctx context.Context) error {
			_, err := service.HasPIN(ctx, e.request(), smsCode)
			return err
		},
	} {
		if err := call(t.Context()); !errors.Is(err, otp.ErrDisabled) {
			t.Errorf("%s of a disabled account: %v", name, err)
		}
	}
	if after := e.record(t); after.Revision != before.Revision || after.Device == nil {
		t.Errorf("the refused calls changed the record: %+v", after)
	}
	if status, err := service.Status(t.Context(), e.account); err != nil || !status.Disabled || !status.Activated {
		t.Errorf("the status is %+v, %v", status, err)
	}
	must(t, service.Enable(t.Context(), e.request()))
	e.mustIssue(t)
}

// Only a disabled account is forgotten by a program. It stays disabled without its device.
func TestForgetDisabledAccountAlone(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	service := serviceOn(t, e.memory, e)
	for name, change := range map[string]func(context.Context, otp.Request) error{
		"disable": service.Disable, "enable": service.Enable, "forget": service.ForgetDisabled,
	} {
		if err := change(t.Context(), e.request()); !errors.Is(err, otp.ErrNoDevice) {
			t.Errorf("%s of an account without a record: %v", name, err)
		}
	}
	e.mustEnroll(t, otp.EnrollRequest{})
	if err := service.ForgetDisabled(t.Context(), e.request()); !errors.Is(err, otp.ErrNotDisabled) {
		t.Errorf("an account that is not disabled: %v", err)
	}
	must(t, service.Disable(t.Context(), e.request()))
	must(t, service.ForgetDisabled(t.Context(), e.request()))
	if r := e.record(t); r.Device != nil || !r.Disabled {
		t.Errorf("the record is %+v", r)
	}
}

// A restore makes no account usable that was disabled after the backup.
func TestRestoredAccountStaysDisabled(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	backup := e.row(t)
	service := serviceOn(t, e.memory, e)
	must(t, service.Disable(t.Context(), e.request()))
	row, err := otp.Restored(backup, []otp.Row{e.row(t)})
	must(t, err)
	if restored, err := otp.Decode(row); err != nil || !restored.Disabled || restored.Device == nil {
		t.Errorf("the restored record is %+v, %v", restored, err)
	}
}

// A record that cannot be decoded any more does not enable an account that an operator has disabled.
func TestDamageDoesNotEnableAnAccount(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := serviceOn(t, e.memory, e)
	must(t, service.Disable(t.Context(), e.request()))
	whole := e.row(t)
	serial := string(e.record(t).Serial)
	damage := func(body []byte) {
		row := whole
		row.Body, row.Claim = body, otp.Claim{Serial: serial, Active: true}
		e.memory.Restore(row)
	}
	cut := whole.Body[:len(whole.Body)-1] // which still says it
	enroll := func(byCaller bool) error {
		_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true, ByCaller: byCaller})
		return err
	}
	for _, byCaller := range []bool{true, false} {
		damage(cut)
		if err := enroll(byCaller); !errors.Is(err, otp.ErrDisabled) {
			t.Errorf("an enrollment of what says that it is disabled, by a caller: %v: %v", byCaller, err)
		}
	}
	for what, forget := range map[string]func(context.Context, otp.Request) error{
		"what says so, by an operator": service.Forget, "what says so, by a program": service.ForgetDisabled,
	} {
		damage(cut)
		must(t, forget(t.Context(), e.request()))
		if r := e.record(t); !r.Disabled || r.Device != nil {
			t.Errorf("%s: the record is %+v", what, r)
		}
	}
	damage([]byte("{"))
	if err := enroll(true); !errors.Is(err, otp.ErrDamaged) {
		t.Errorf("an enrollment by a caller where it is not known: %v", err)
	}
	must(t, service.ForgetDisabled(t.Context(), e.request()))
	if !e.record(t).Disabled {
		t.Error("a program has enabled an account of which it is not known whether it is disabled")
	}
}
