package otp_test

import (
	"errors"
	"testing"
	"time"

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
