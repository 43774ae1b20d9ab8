package otp_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// Whether the server checks the PIN or not, wrong ones never cost the device: the right one verifies every time.
func TestWrongPINsNeverCostTheDevice(t *testing.T) {
	t.Parallel()
	for name, checks := range map[string]bool{"PIN checked": true, "PIN not checked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := started(t, func(k *inwebosim.Knobs) { k.CheckPIN, k.WrongLimit = checks, 0 })
			limits := generous()
			limits.Guard.Attempts = 0
			rapid.Check(t, func(rt *rapid.T) {
				d := plant(t, sim, inwebosim.Override{
					Ratchet:     rapid.SampledFrom(movements).Draw(rt, "movement"),
					SecondRound: rapid.SampledFrom([]inwebosim.SecondRound{inwebosim.SecondRoundNever, inwebosim.SecondRoundEveryOther, inwebosim.SecondRoundStubborn}).Draw(rt, "J"),
				})
				service := otp.New(d.memory, newBridge(sim), limits, nil)
				for i, right := range append(rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(rt, "right"), true) {
					if !right {
						issued, err := service.IssueOTP(t.Context(), d.request(), wrongPIN)
						if err == nil && (checks || sim.Verify(issued.OTP.Reveal())) {
							rt.Fatalf("call %d: a wrong PIN got an OTP", i)
						}
						continue
					}
					issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
					if err != nil || !sim.Verify(issued.OTP.Reveal()) {
						rt.Fatalf("call %d: the right PIN gives %v, %v", i, issued, err)
					}
				}
				if r := d.record(t); !d.inStep(t) || r.Doubt != nil {
					rt.Fatalf("in step %v, %+v", d.inStep(t), r)
				}
			})
		})
	}
}
