package app

import (
	"testing"
	"time"
)

func TestClocksAreCompared(t *testing.T) {
	t.Parallel()
	here := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	off := func(d time.Duration) reading { return reading{there: here.Add(-d), here: here} }
	for _, tc := range []struct {
		store, inwebo reading
		outcome       Outcome
		detail        string
	}{
		{reading{}, reading{}, OutcomeSkipped, "there is no other clock to compare with"},
		{off(0), reading{}, OutcomeOK, "agrees with the store's"},
		{off(0), off(2 * time.Second), OutcomeOK, "agrees with the store's, agrees with inWebo's"},
		{off(0), off(5 * time.Second), OutcomeOK, "agrees with the store's, agrees with inWebo's"},
		{off(0), off(6 * time.Second), OutcomeNote, "agrees with the store's, 6s ahead of inWebo's"},
		{off(-30 * time.Second), off(0), OutcomeNote, "30s behind the store's, agrees with inWebo's"},
		{off(0), off(time.Minute + time.Second), OutcomeFailed, "agrees with the store's, 1m1s ahead of inWebo's"},
		{off(-time.Hour), reading{}, OutcomeFailed, "1h0m0s behind the store's"},
	} {
		if got := inspectClocks(tc.store, tc.inwebo); got.Outcome != tc.outcome || got.Detail != tc.detail {
			t.Errorf("%s, %q; want %s, %q", got.Outcome, got.Detail, tc.outcome, tc.detail)
		}
	}
}
