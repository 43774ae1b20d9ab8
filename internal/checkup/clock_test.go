package checkup

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
		{reading{}, reading{}, Skipped, "there is no other clock to compare with"},
		{off(0), reading{}, OK, "agrees with the store's"},
		{off(0), off(2 * time.Second), OK, "agrees with the store's, agrees with inWebo's"},
		{off(0), off(5 * time.Second), OK, "agrees with the store's, agrees with inWebo's"},
		{off(0), off(6 * time.Second), Note, "agrees with the store's, 6s ahead of inWebo's"},
		{off(-30 * time.Second), off(0), Note, "30s behind the store's, agrees with inWebo's"},
		{off(0), off(time.Minute + time.Second), Failed, "agrees with the store's, 1m1s ahead of inWebo's"},
		{off(-time.Hour), reading{}, Failed, "1h0m0s behind the store's"},
	} {
		if got := checkClock(tc.store, tc.inwebo); got.Outcome != tc.outcome || got.Detail != tc.detail {
			t.Errorf("%s, %q; want %s, %q", got.Outcome, got.Detail, tc.outcome, tc.detail)
		}
	}
}
