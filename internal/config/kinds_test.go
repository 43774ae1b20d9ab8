package config

import (
	"testing"
	"time"
)

func TestDurationsMayHaveDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "30d": 30 * day, "1d12h": 36 * time.Hour, "0": 0, "-5s": -5 * time.Second, "36500d": 36500 * day,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "3w", "30", "1d-1h", "1.5d", "-1d", "1dd", "99999d", "1d1"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	for _, d := range []time.Duration{0, time.Minute, day, 2 * day, 90 * day, 2*day + time.Hour} {
		if got, err := ParseDuration(durationText(d)); err != nil || got != d {
			t.Errorf("%v is written as %q, and read as %v (%v)", d, durationText(d), got, err)
		}
	}
}
