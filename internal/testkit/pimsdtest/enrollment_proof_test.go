package pimsdtest_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// onPostgres keeps a daemon's devices in an empty PostgreSQL database that ends with the test.
func onPostgres(t *testing.T) func(*pimsdtest.Setup) {
	t.Helper()
	return keptBy(pgtest.New(t))
}

// keptBy has the server keep a daemon's devices, sealed under a key of their own.
func keptBy(server *pgtest.Server) func(*pimsdtest.Setup) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // does not fail
	return func(s *pimsdtest.Setup) {
		s.Config.DatabaseURL = secret.NewText(server.URL("postgres"))
		s.Config.Seal.Keys = secret.NewText(base64.StdEncoding.EncodeToString(key))
	}
}

// Enrolled over REST, a device makes a hundred OTPs that inWebo accepts: in every movement of the keys, with one secret
// or two, with one service or a chosen one of two, on either store, across a restart.
func TestAHundredOTPsAfterAnEnrollment(t *testing.T) {
	t.Parallel()
	const services = 2
	for name, store := range map[string]func(*testing.T) func(*pimsdtest.Setup){
		"SQLite": func(*testing.T) func(*pimsdtest.Setup) { return func(*pimsdtest.Setup) {} }, "PostgreSQL": onPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := pimsdtest.Start(t, store(t))
			for i, how := range movements() {
				if how.SecondRound != inwebosim.SecondRoundNever && how.SecondRound != inwebosim.SecondRoundEveryOther {
					continue
				}
				knobs := d.Inwebo.Knobs()
				knobs.Ratchet, knobs.SecondRound, knobs.SecretsMove, knobs.Secrets = how.Ratchet, how.SecondRound, true, 1+i%2
				if err := d.Inwebo.SetKnobs(knobs); err != nil {
					t.Fatal(err)
				}
				a := freshOn(t, d, fmt.Sprintf("%s, J %s, ms_n %d", how.Ratchet, how.SecondRound, knobs.Secrets), fmt.Sprintf("code%d", i))
				wantResult(t, enroll(a, ""), `{}`)
				for range 100 {
					wantOTP(t, a)
				}
			}
			knobs := d.Inwebo.Knobs()
			knobs.Services = services
			if err := d.Inwebo.SetKnobs(knobs); err != nil {
				t.Fatal(err)
			}
			a := freshOn(t, d, "two services", "codetwo")
			wantResult(t, enroll(a, ""), `{}`)
			wantFailure(t, a.OTP(aPIN), 500, 2006, fifteen()[2006], false)
			d.Config.Inwebo.Service = a.Expected().Services[services-1]
			d.Restart()
			for range 100 {
				wantOTP(t, a)
			}
			wantParts(t, status(a), fmt.Sprintf(`"service":"Peugeot \u0026 Citroën %s"`, d.Config.Inwebo.Service))
		})
	}
}
