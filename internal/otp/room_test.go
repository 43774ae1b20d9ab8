package otp_test

import (
	"context"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// scales is a store that notes how long each row is that replaces another.
type scales struct {
	otp.Store
	bodies, vaults map[int]int // how many of each length
}

func (s *scales) Replace(ctx context.Context, w otp.Write) error {
	s.bodies[len(w.Row.Body)]++
	s.vaults[len(w.Row.Vault.Reveal())]++
	return s.Store.Replace(ctx, w)
}

// Held or not, an enrolled device keeps the length of its record: a store that keeps rows in pages moves no others.
func TestARecordKeepsItsLength(t *testing.T) {
	t.Parallel()
	d := plant(t, started(t, func(*inwebosim.Knobs) {}), inwebosim.Override{})
	store := &scales{d.memory, map[int]int{}, map[int]int{}}
	l := limits()
	l.OTPsPerDay = 0 // its units are kept, and make a record longer
	service := otp.New(store, newBridge(d.sim), l, nil)
	for n := range 50 {
		issued, err := service.IssueOTP(t.Context(), d.ask(), rightPIN)
		mustVerify(t, d, issued, err)
		if n == 0 { // from now on there is a last OTP to tell of
			clear(store.bodies)
			clear(store.vaults)
		}
	}
	if len(store.bodies) != 1 || len(store.vaults) != 1 {
		t.Errorf("there were so many bodies and vaults of each length: %v, %v", store.bodies, store.vaults)
	}
}
