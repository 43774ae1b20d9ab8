package otp_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// afterLookUp is a store in which something happens between the first look-up of a device's history and what follows from it.
type afterLookUp struct {
	otp.Store
	once sync.Once
	then func()
}

func (a *afterLookUp) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	rows, err := a.Store.BySerial(ctx, serial)
	a.once.Do(a.then)
	return rows, err
}

// visitCarol has carol import the device, send a wrong PIN, and forget it again.
func (m *moving) visitCarol(t *testing.T) {
	must(t, m.service.Import(t.Context(), m.as("carol"), m.found))
	_ = m.issue(t, "carol", wrongPIN)
	must(t, m.service.Forget(t.Context(), m.as("carol")))
}

// What another account counts of a device after its history was read, and before it is imported, goes along with the device.
func TestImportReadsHistoryInTheStepOfItsWrite(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	store := &afterLookUp{Store: m.memory, then: func() { m.visitCarol(t) }}
	must(t, otp.New(store, nil, limits(), nil).Import(t.Context(), m.as("bob"), m.found))
	if status, err := m.service.Status(t.Context(), "bob"); err != nil || status.WrongPINs != 1 {
		t.Errorf("%d wrong PINs go along, want 1 (%v)", status.WrongPINs, err)
	}
}

// The same holds for an account that enrolls the device again that it had.
func TestEnrollmentReadsHistoryInTheStepOfItsLease(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	must(t, m.service.Forget(t.Context(), m.as("alice")))
	login := inwebosim.Account{Login: "owner", PIN: rightPIN.Reveal(), Codes: []inwebosim.Code{{Value: ownersCode.Reveal()}}}
	must(t, m.sim.AddAccount(login))
	store := &afterLookUp{Store: m.memory, then: func() {
		m.visitCarol(t)
		m.visitCarol(t)
	}}
	service := otp.New(store, wire(t, m.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	_, err := service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: ownersCode, PIN: wrongPIN})
	if !errors.Is(err, otp.ErrPINLocked) {
		t.Errorf("an enrollment after two wrong PINs elsewhere: %v", err)
	}
}

var _ otp.Store = (*afterLookUp)(nil)
