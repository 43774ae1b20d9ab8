package ratchet_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/hotpath"
)

// hotSteps are what a device computes for one OTP.
func hotSteps(tb testing.TB) []hotpath.Step {
	tb.Helper()
	pin := secret.NewText("1234")
	kma := ratchet.NewKma(pin, serial)
	state := ratchet.State{Secret: secret.NewBytes(make([]byte, 16))}.Told(mustMove(tb, key("a"), key("b"), key("c")))
	keys := state.Open(kma)
	return []hotpath.Step{
		{Name: "kma", Most: 3, Do: func() { ratchet.NewKma(pin, serial) }},
		{Name: "open", Most: 13, Do: func() { state.Open(kma) }},
		{Name: "prove", Most: 12, Do: func() { ratchet.Prove("-48902903", keys, serial, pin) }},
		{Name: "otp", Most: 8, Do: func() { ratchet.OTP(keys.K1, "1234567890", kma.Secval(state.Secret)) }},
	}
}

func TestAllocations(t *testing.T) { hotpath.Test(t, hotSteps(t)) }

func BenchmarkHotPath(b *testing.B) { hotpath.Benchmark(b, hotSteps(b)) }
