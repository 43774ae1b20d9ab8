package inwebosim

import (
	"testing"
	"time"
)

// effectOfDailyOTPs: second rounds cost nothing, and the day is the last 24 hours.
func effectOfDailyOTPs(t *testing.T) {
	now := newClock()
	k := DefaultKnobs()
	k.DailyOTPs, k.SecondRound = 2, SecondRoundAlways
	s := started(t, Options{Knobs: k, Now: now.Now})
	c := enrolled(t, s)
	mustVerify(t, s, c)
	now.advance(12 * time.Hour)
	mustVerify(t, s, c)
	mustRefuse(t, c, c.pin, "NOK:FORBIDDEN")
	now.advance(12 * time.Hour)
	mustVerify(t, s, c)
	mustRefuse(t, c, c.pin, "NOK:FORBIDDEN")
	if got := expectedState(t, s, c); got.WrongProofs != 0 || got.Issued != 3 || got.K1 != c.k1 {
		t.Errorf("truth %+v", got)
	}
}

func effectOfOTPLife(t *testing.T) {
	now := newClock()
	k := DefaultKnobs()
	k.OTPLife = Duration(5 * time.Second)
	s := started(t, Options{Knobs: k, Now: now.Now})
	c := enrolled(t, s)
	for age, want := range map[time.Duration]bool{5 * time.Second: true, 5*time.Second + 1: false} {
		otp, err := c.otp()
		if err != nil {
			t.Fatal(err)
		}
		now.advance(age)
		if s.Verify(otp) != want {
			t.Errorf("after %s it verifies: %t", age, !want)
		}
	}
}

func effectOfChallengeLife(t *testing.T) {
	now := newClock()
	k := DefaultKnobs()
	k.ChallengeLife = Duration(time.Minute)
	s := started(t, Options{Knobs: k, Now: now.Now})
	c := enrolled(t, s)
	for age, want := range map[time.Duration]string{time.Minute: "OK", time.Minute + 1: "NOK:TIMEOUT"} {
		r, err := c.ask(c.setupParams())
		if err != nil {
			t.Fatal(err)
		}
		now.advance(age)
		r, err = c.ask(c.finalizeParams(r.one("challenge"), c.pin))
		if errText(err) != want {
			t.Errorf("after %s: %v, want %s", age, err, want)
		}
		if err := c.apply(r); err != nil {
			t.Fatal(err)
		}
	}
	if got := expectedState(t, s, c); got.WrongProofs != 0 {
		t.Errorf("a late finalize counted as a wrong proof: %+v", got.Counters)
	}
	mustVerify(t, s, c)
}
