package otp_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// What is in doubt at its store, by whatever fact, is in doubt at the next one.
func TestTransferKeepsDoubt(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := serviceOn(t, e.memory, e)
	now := time.Now()
	if _, err := otp.Transferred(e.row(t), now, 7); !errors.Is(err, otp.ErrNotDisabled) {
		t.Fatalf("an account in use: %v", err)
	}
	must(t, service.Disable(t.Context(), e.request()))
	for what, test := range map[string]struct {
		change  func(*otp.Row)
		inDoubt bool
	}{
		"nothing":       {func(*otp.Row) {}, false},
		"a later epoch": {func(row *otp.Row) { row.StoreEpoch = otp.Epoch{Number: row.Epoch + 1, Since: now} }, true},
	} {
		row := e.row(t)
		test.change(&row)
		moved, err := otp.Transferred(row, now, 7)
		must(t, err)
		if moved.Epoch != 7 || moved.InDoubt != test.inDoubt || moved.StoreEpoch.Number != 0 {
			t.Errorf("%s: the row is %+v", what, moved)
		}
		moved.StoreEpoch.Number, moved.Secrets = 7, row.Secrets
		record, err := otp.Decode(moved)
		must(t, err)
		if record.InDoubt(now) != test.inDoubt || !record.Disabled || record.Device == nil {
			t.Errorf("%s: the record is %+v", what, record)
		}
	}
}

// A device is forgotten after its transfer only as the record that was copied.
func TestForgetTransferred(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	e.mustEnroll(t, otp.EnrollRequest{})
	service := serviceOn(t, e.memory, e)
	copied := e.row(t).Revision
	if err := service.ForgetTransferred(t.Context(), e.request(), copied); !errors.Is(err, otp.ErrNotDisabled) {
		t.Errorf("an account in use: %v", err)
	}
	must(t, service.Disable(t.Context(), e.request()))
	if err := service.ForgetTransferred(t.Context(), e.request(), copied); !errors.Is(err, otp.ErrChanged) {
		t.Errorf("a record that was changed: %v", err)
	}
	must(t, service.ForgetTransferred(t.Context(), e.request(), e.row(t).Revision))
	if r := e.record(t); r.Device != nil || !r.Disabled {
		t.Errorf("the record is %+v", r)
	}
	if err := service.ForgetTransferred(t.Context(), e.request(), copied); !errors.Is(err, otp.ErrNoDevice) {
		t.Errorf("a repeat: %v", err)
	}
}

// A device is not transferred while a process may still have an answer for it, whose keys would come too late.
func TestTransferWaitsForLateAnswer(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	synctest.Test(t, func(t *testing.T) {
		d := plant(t, sim, inwebosim.Override{Ratchet: inwebosim.RatchetK1})
		_ = overtaken(t, d, true, func(s *otp.Service) {
			must(t, s.Disable(t.Context(), d.request()))
			row, now, err := d.memory.Fetch(t.Context(), d.request().Account)
			must(t, err)
			if _, err := otp.Transferred(row, now, 1); !errors.Is(err, otp.ErrBusy) {
				t.Errorf("when the lease has ended: %v", err)
			}
			moved, err := otp.Transferred(row, now.Add(time.Hour), 1)
			must(t, err)
			if !moved.InDoubt {
				t.Error("an hour later, the device is not in doubt")
			}
		}, nil)
		row, now, err := d.memory.Fetch(t.Context(), d.request().Account)
		must(t, err)
		if moved, err := otp.Transferred(row, now, 1); err != nil || moved.InDoubt {
			t.Errorf("when the answer is stored: in doubt is %v (%v)", moved.InDoubt, err)
		}
	})
}
