package otp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// A device of an earlier doubt epoch is in doubt, without a write of its record, until inWebo accepts a proof of it.
func TestDeviceOfAnEarlierEpochIsInDoubt(t *testing.T) {
	t.Parallel()
	sim := started(t, func(k *inwebosim.Knobs) { k.LostFinalize = inwebosim.LostFinalizeStrict })
	client := wire(t, sim.ProtocolURL(), time.Minute)
	d := plant(t, sim, inwebosim.Override{})
	service := otp.New(d.memory, client, generous(), nil)
	issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	mustVerify(t, d, issued, err)
	old, _, err := d.memory.Fetch(t.Context(), d.account)
	must(t, err)
	issued, err = service.IssueOTP(t.Context(), d.request(), rightPIN)
	mustVerify(t, d, issued, err)
	newest, _, err := d.memory.Fetch(t.Context(), d.account)
	must(t, err)

	d.memory.Restore(old)
	d.mustBeInDoubt(t, service, false)
	must(t, d.memory.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "test"}))
	d.mustBeInDoubt(t, service, true)
	if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); !errors.Is(err, otp.ErrInDoubt) {
		t.Errorf("the keys of before are refused, and the caller is told %v", err)
	}
	d.mustBeInDoubt(t, service, true)

	d.memory.Restore(newest)
	issued, err = otp.New(d.later(), client, generous(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
	mustVerify(t, d, issued, err)
	d.mustBeInDoubt(t, service, false)
	must(t, d.memory.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "test"}))
	d.mustBeInDoubt(t, service, true)
}

// A conversation that began before the epoch was raised ends no doubt: others may have gone on from what it began with.
func TestConversationFromBeforeTheEpochEndsNoDoubt(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	raise := func() {
		if err := d.memory.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "test"}); err != nil {
			t.Error(err)
		}
	}
	client := &before{Inwebo: wire(t, sim.ProtocolURL(), time.Minute), setup: raise}
	service := otp.New(d.memory, client, generous(), nil)
	issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	mustVerify(t, d, issued, err)
	d.mustBeInDoubt(t, service, true)
	issued, err = otp.New(d.later(), client.Inwebo, generous(), nil).IssueOTP(t.Context(), d.request(), rightPIN)
	mustVerify(t, d, issued, err)
	d.mustBeInDoubt(t, service, false)
}

// A device that is imported or forgotten belongs to the epoch of its record's last write.
func TestEpochOfADeviceThatIsReplaced(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.memory.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "test"}))
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	_ = m.issue(t, "alice", rightPIN)
	expect := func(want int) {
		t.Helper()
		if n := inDoubt(t, m.service, m.memory); n != want {
			t.Errorf("%d devices are in doubt, want %d", n, want)
		}
	}
	expect(0)
	must(t, m.memory.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "test"}))
	expect(1)
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	expect(0)
}

func (d *device) mustBeInDoubt(t *testing.T, service *otp.Service, want bool) {
	t.Helper()
	status, err := service.Status(t.Context(), d.account)
	must(t, err)
	if status.InDoubt != want || status.DoubtSince.IsZero() == want {
		t.Errorf("the device is in doubt: %v since %v, want %v", status.InDoubt, status.DoubtSince, want)
	}
	if n := inDoubt(t, service, d.memory); (n == 1) != want {
		t.Errorf("as listed, %d devices are in doubt, want %v", n, want)
	}
}

// inDoubt counts the devices in doubt of the records as a listing has them.
func inDoubt(t *testing.T, service *otp.Service, store otp.Store) (count int) {
	t.Helper()
	rows, err := store.List(t.Context(), "", 100)
	must(t, err)
	for _, row := range rows {
		status, err := service.StatusOf(row, time.Now())
		must(t, err)
		if status.InDoubt {
			count++
		}
	}
	return count
}

// before calls setup before it asks for a challenge.
type before struct {
	otp.Inwebo

	setup func()
}

func (b *before) OTPSetup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error) {
	b.setup()
	return b.Inwebo.OTPSetup(ctx, who, sid)
}
