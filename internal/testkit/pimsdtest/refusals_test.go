package pimsdtest_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// pinCauses are those of a wrong PIN, as inWebo counts them.
func pinCauses() []cause {
	wrong := func(times int) func(*testing.T, *pimsdtest.Account) {
		return func(t *testing.T, a *pimsdtest.Account) {
			for range times {
				if got := a.OTP(wrongPIN); got.Code != 2308 {
					t.Fatalf("a wrong PIN: %s", got.Body)
				}
			}
		}
	}
	return []cause{
		{name: "a wrong PIN", code: 2308, status: 403, body: pimsdtest.WithPIN(wrongPIN)},
		{name: "a second wrong PIN", code: 2308, status: 403, body: pimsdtest.WithPIN(wrongPIN), before: wrong(1)},
		{name: "a third wrong PIN", code: 2310, status: 423, body: pimsdtest.WithPIN(wrongPIN), before: wrong(2), stays: true},
		{name: "the right PIN after three wrong ones", code: 2310, status: 423, stays: true, before: func(t *testing.T, a *pimsdtest.Account) {
			wrong(2)(t, a)
			if got := a.OTP(wrongPIN); got.Code != 2310 {
				t.Fatalf("a third wrong PIN: %s", got.Body)
			}
		}},
	}
}

const wrongPIN = "4321"

// refusalCauses are the literal err of an answer: all of docs/protocol.md §7.
func refusalCauses() (all []cause) {
	for _, r := range []struct {
		err          string
		code, status int
		parameter    string
	}{
		{"NOK:CODE", 2305, 422, ""},
		{"NOK:SN", 2000, 500, ""},
		{"NOK:ACCESS", 2308, 403, ""},
		{"NOK:VERSION", 2309, 502, ""},
		{"NOK:NOK_BLOCKED", 2310, 423, ""},
		{"NOK:BLOCKED", 2310, 423, ""},
		{"NOK:STATE", 2311, 409, ""},
		{"NOK:NODEVICE", 2312, 404, ""},
		{"NOK:NOCA", 2313, 409, ""},
		{"NOK:NOSRV", 2314, 409, ""},
		{"NOK:PINREUSED", 2315, 409, ""},
		{"NOK:SYNCHROFAILED", 2316, 502, ""},
		{"NOK:FORBIDDEN", 2317, 403, ""},
		{"NOK:PINREFUSED", 2102, 400, "pinCode"},
		{"NOK:TIMEOUT", 2311, 409, ""},
		{"NOK:MAXNBTOOLS", 2348, 409, ""},
		{"NOK:BIOKEY", 2310, 423, ""},
		{"NOK:SAT", 2000, 500, ""},
		{"NOK:URL", 2000, 500, ""},
		{"NOK:ERR1", 2000, 500, ""},
		{"NOK:NOPUSH", 2000, 500, ""},
		{"NOK:HEARD_FOR_THE_FIRST_TIME", 2000, 500, ""},
		{"NOK:", 2000, 500, ""},
		{"NOK", 2000, 500, ""},
	} {
		c := cause{name: r.err, code: r.code, status: r.status, parameter: r.parameter}
		all = append(all, onEither(c, inwebosim.Fault{Kind: inwebosim.KindErr, Err: r.err})...)
	}
	setup, finalize := cause{name: "MAYBE", code: 2000, status: 500}, cause{name: "MAYBE", code: 2316, status: 502}
	return append(all, onEach(setup, finalize, inwebosim.Fault{Kind: inwebosim.KindErr, Err: "MAYBE"})...)
}

// stateCauses are states of the account or of its device, at inWebo or here.
func stateCauses() []cause {
	return []cause{
		{name: "inWebo has forgotten the device", code: 2312, status: 404, stays: true, before: func(t *testing.T, a *pimsdtest.Account) {
			if err := a.Daemon.Inwebo.Forget(a.Expected().ID); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "nothing is enrolled", code: 2312, status: 404, stays: true, before: func(_ *testing.T, a *pimsdtest.Account) {
			a.Name, a.Key = "unknown", a.Daemon.Key("unknown")
		}},
		{name: "inWebo has blocked the account", code: 2310, status: 423, stays: true, before: func(t *testing.T, a *pimsdtest.Account) {
			if err := a.Daemon.Inwebo.Block(a.Expected().ID); err != nil {
				t.Fatal(err)
			}
		}},
		{
			name: "the OTPs of the day are used up", code: 2317, status: 403, stays: true,
			alone:  func(s *pimsdtest.Setup) { s.Inwebo.Knobs.DailyOTPs = 1 },
			before: wantOTP,
		},
		{
			name: "every challenge has expired when it is answered", code: 2311, status: 409, stays: true,
			alone: func(s *pimsdtest.Setup) { s.Inwebo.Knobs.ChallengeLife = 1 },
		},
		{
			name: "another request holds the device", code: 2311, status: 409, retry: true, stays: true,
			alone: shortQueue, before: holdDevice,
		},
	}
}
