package otp_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// A device makes OTPs one after another, hundreds if they are asked for, however inWebo moves its keys, and its record does not grow.
func TestManyOTPsOfOneDevice(t *testing.T) {
	t.Parallel()
	const many = 250
	sim := started(t, func(*inwebosim.Knobs) {})
	for _, movement := range movements {
		t.Run(string(movement), func(t *testing.T) {
			t.Parallel()
			d := plant(t, sim, inwebosim.Override{Ratchet: movement})
			service := otp.New(d.memory, newBridge(sim), generous(), nil)
			size := func() int {
				row, err := otp.Encode(d.record(t))
				must(t, err)
				return len(row.Body) + len(row.Secrets.Reveal())
			}
			var before int
			for i := range many {
				issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
				if mustVerify(t, d, issued, err); t.Failed() {
					t.Fatalf("OTP %d of %d", i+1, many)
				}
				if i == 0 {
					before = size()
				}
			}
			const numbers = 16 // of the revision and the step, which have more digits
			if after := size(); after > before+numbers {
				t.Errorf("after %d OTPs the record has %d bytes, and had %d after the first", many, after, before)
			}
		})
	}
}
