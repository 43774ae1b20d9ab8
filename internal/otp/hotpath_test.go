package otp_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/hotpath"
)

// hotSteps read and write a held record as it is in the middle of an OTP.
func hotSteps(tb testing.TB) []hotpath.Step {
	tb.Helper()
	digits := secret.NewText("00112233445566778899aabbccddeeff")
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	record := otp.Record{
		Account: "alice", Revision: 17, Serial: "0123456789abcdef/_/00112233445566778899aabbccddeeff", Step: 8, MovedBy: 16,
		Device: &otp.Device{
			Identity: inwebo.Identity{ID: "0123456789abcdef", LastSync: "1795000000"}, Services: []inwebo.Service{{ID: "1234", Name: "Peugeot"}},
			State: ratchet.State{
				Keys: ratchet.Keys{K0: digits, K1: digits}, Unproven: ratchet.Move{DK1: []secret.Text{digits}}, Secret: secret.NewBytes(make([]byte, 16)),
			},
			EnrolledAt: at, LastOTPAt: at,
		},
		Hold:  &otp.Hold{Conversation: "0193f7b8-0000-7000-8000-000000000000", Revision: 17, Since: at, Until: at.Add(time.Minute)},
		Guard: otp.Guard{Guesses: []otp.Guess{{Conversation: "0193f7b8-0000-7000-8000-000000000000", At: at}}},
	}
	row, err := otp.Encode(record)
	if err != nil {
		tb.Fatal(err)
	}
	return []hotpath.Step{
		{Name: "encode", Most: 18, Do: func() {
			if _, err := otp.Encode(record); err != nil {
				tb.Fatal(err)
			}
		}},
		{Name: "decode", Most: 50, Do: func() {
			if _, err := otp.Decode(row); err != nil {
				tb.Fatal(err)
			}
		}},
	}
}

func TestAllocations(t *testing.T) { hotpath.Test(t, hotSteps(t)) }

func BenchmarkHotPath(b *testing.B) { hotpath.Benchmark(b, hotSteps(b)) }
