package otp_test

import (
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

const life = time.Hour

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clocks are those of a process and of its store.
type clocks struct {
	watch otp.StoreClock
	here  time.Time
	off   time.Duration // of the store's clock
}

func (c *clocks) look() otp.ClockReading { return c.watch.Look(c.here, c.here.Add(c.off)) }

func (c *clocks) expectLeft(t *testing.T, when string, began time.Time, want time.Duration) {
	t.Helper()
	if got := c.look().Left(began, life); got != want {
		t.Errorf("%s, %v is left of a life, want %v", when, got, want)
	}
}

func TestLifeUnderAClockThatJumps(t *testing.T) {
	t.Parallel()
	c := &clocks{here: start}
	c.expectLeft(t, "at first", start, life)
	c.here = start.Add(time.Minute)
	c.expectLeft(t, "after a minute", start, life-time.Minute)

	c.off = 24 * time.Hour
	c.expectLeft(t, "after a jump", start, otp.ClockProbation)
	c.expectLeft(t, "after a jump, of what began after it", c.here.Add(c.off), life)
	c.here = c.here.Add(otp.ClockProbation / 3)
	c.expectLeft(t, "a while after a jump", start, otp.ClockProbation-otp.ClockProbation/3)

	c.off = 0
	c.expectLeft(t, "when the clock is right again", start, life-time.Minute-otp.ClockProbation/3)

	c.off = 24 * time.Hour
	c.look()
	c.here = c.here.Add(otp.ClockProbation)
	if left := c.look().Left(start, life); left > 0 {
		t.Errorf("when the clock has gone on from there, %v is left", left)
	}
}

// What is left of a life never exceeds the life, and grows less as time passes, however far the clock has jumped.
func TestLifeOnlyGrowsLess(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{3 * time.Second, time.Minute, 10 * time.Minute, life, 10 * 365 * 24 * time.Hour} {
		for _, began := range []time.Duration{-time.Minute, 0, jump, jump + time.Second} {
			c := &clocks{here: start}
			c.look()
			c.off = jump
			last := life
			for range 90 {
				c.here = c.here.Add(time.Minute)
				left := c.look().Left(start.Add(began), life)
				if left > last {
					t.Errorf("a jump of %v, began at %v: %v is left after %v", jump, began, left, last)
				}
				last = left
			}
			if last > 0 {
				t.Errorf("a jump of %v, began at %v: %v is left in the end", jump, began, last)
			}
		}
	}
}
