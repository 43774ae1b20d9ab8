package otp_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
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

// A record that cannot be decoded any more does not enable an account that an operator has disabled, whatever is left of its body, and
// does not disable another one.
func TestDamageDoesNotEnableAnAccount(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := serviceOn(t, e.memory, e)
	must(t, service.Disable(t.Context(), e.request()))
	whole := e.row(t)
	damage := func(disabled bool, body []byte) {
		row := whole
		row.Body, row.Disabled = body, disabled
		e.memory.Restore(row)
	}
	enroll := func() error {
		_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
		return err
	}
	for what, left := range map[string][]byte{"almost all": whole.Body[:len(whole.Body)-1], "nothing": []byte("{")} {
		damage(true, left)
		if err := enroll(); !errors.Is(err, otp.ErrDisabled) {
			t.Errorf("%s is left: an enrollment: %v", what, err)
		}
		status, err := service.Status(t.Context(), e.account)
		if !errors.Is(err, otp.ErrDamaged) || !strings.Contains(err.Error(), "the account is disabled") ||
			!status.Disabled || status.State != otp.StateUnreadable {
			t.Errorf("%s is left: the status is %+v, %v", what, status, err)
		}
		for by, forget := range map[string]func(context.Context, otp.Request) error{"an operator": service.Forget, "a program": service.ForgetDisabled} {
			for _, disabled := range []bool{true, false} {
				damage(disabled, left)
				must(t, forget(t.Context(), e.request()))
				if r := e.record(t); r.Disabled != disabled || r.Device != nil {
					t.Errorf("%s is left of an account, disabled: %v, that %s forgets: the record is %+v", what, disabled, by, r)
				}
			}
		}
	}
	damage(false, []byte("{"))
	must(t, enroll())
	if e.record(t).Disabled {
		t.Error("an enrollment over a damaged record has disabled the account")
	}
}

// An account whose record cannot be decoded is enabled and disabled as any other: that is stored next to the body. What is left of the
// record stays as it is stored, so that it can be looked at and repaired.
func TestADamagedRecordIsEnabledAndDisabled(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := serviceOn(t, e.memory, e)
	whole := e.row(t)
	secrets := whole.Secrets.Reveal()
	noKeys := whole
	noKeys.Secrets = secret.NewBytes(secrets[:len(secrets)-1])
	for what, damaged := range map[string]otp.Row{
		"a body that is cut":       withBody(whole, whole.Body[:len(whole.Body)-1]),
		"a body that is gone":      withBody(whole, nil),
		"secrets that are damaged": noKeys,
	} {
		e.memory.Restore(damaged)
		for i, change := range []func(context.Context, otp.Request) error{service.Disable, service.Enable} {
			if err := change(t.Context(), e.request()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			row, disabled := e.row(t), i == 0
			if row.Disabled != disabled || row.Revision != damaged.Revision+uint64(i)+1 || !bytes.Equal(row.Body, damaged.Body) ||
				!bytes.Equal(row.Secrets.Reveal(), damaged.Secrets.Reveal()) || row.Claim != damaged.Claim || row.Epoch != damaged.Epoch {
				t.Errorf("%s: the row of the account, disabled: %v, is %+v", what, disabled, row)
			}
			if _, err := service.Status(t.Context(), e.account); !errors.Is(err, otp.ErrDamaged) {
				t.Errorf("%s: the status ends with %v", what, err)
			}
		}
	}
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
	must(t, err)
	e.mustIssue(t)
}

// An enrollment that is refused leaves a damaged record as it is stored, also where a stamp in it is from the future.
func TestARefusedEnrollmentLeavesADamagedRecord(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	e.changeRecord(t, func(r *otp.Record) { r.Activations, r.Guard.WrongAt = 19, time.Now().Add(time.Hour) })
	damaged := e.row(t)
	secrets := damaged.Secrets.Reveal()
	damaged.Secrets = secret.NewBytes(secrets[:len(secrets)-1])
	e.memory.Restore(damaged)
	l := generous()
	l.Activations.Refuse = 19
	if err := e.enroll(t, l, otp.EnrollRequest{Replace: true}); !errors.Is(err, otp.ErrActivations) {
		t.Errorf("told %v", err)
	}
	if row := e.row(t); !bytes.Equal(row.Body, damaged.Body) || !bytes.Equal(row.Secrets.Reveal(), damaged.Secrets.Reveal()) {
		t.Error("the enrollment was refused, and what was left of the record is gone")
	}
}

// While a conversation has the device of a damaged record leased, the account is neither enabled nor disabled.
func TestADamagedRecordThatIsLeasedIsNotDisabled(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	damaged := withBody(e.row(t), []byte("{"))
	damaged.LeasedUntil = time.Now().Add(time.Minute)
	e.memory.Restore(damaged)
	limits := generous()
	limits.QueueWait = 0
	hasty := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits, nil)
	defer drained(t, hasty)
	if err := hasty.Disable(t.Context(), e.request()); !errors.Is(err, otp.ErrBusy) {
		t.Errorf("a record that a conversation has leased: %v", err)
	}
}

func withBody(row otp.Row, body []byte) otp.Row {
	row.Body = body
	return row
}

// An account that is disabled during a conversation stays so, whatever else becomes of its row before the settle: deleted and made again,
// restored, replaced, or nothing at all.
func TestDisabledDuringAConversation(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	untouched := interference{name: "untouched", does: func(*testing.T, *device, otp.Row) {}}
	for _, i := range append(interferences(), untouched) {
		if i.name == "deleted" { // with the row goes what it said
			continue
		}
		t.Run(i.name, func(t *testing.T) {
			t.Parallel()
			d := plant(t, sim, inwebosim.Override{})
			client, before := newBridge(sim), d.row(t)
			afterExchange(client, inwebo.ExchangeOTPFinalize, 1, func() {
				i.does(t, d, before)
				row := d.row(t)
				row.Disabled = true
				d.memory.Restore(row)
			})
			service := otp.New(d.memory, client, limits(), nil)
			_, _ = service.IssueOTP(t.Context(), d.request(), rightPIN)
			drained(t, service)
			if !d.row(t).Disabled {
				t.Error("the settle has enabled the account")
			}
		})
	}
}
