package admission_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/admission"
)

// A caller that waits for a second is not refused again, and no caller gets more than the burst and the rate.
func TestTheRateIsKeptAndSoIsTheWait(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		perSecond, burst := rapid.IntRange(1, 1000).Draw(rt, "rate"), rapid.IntRange(1, 50).Draw(rt, "burst")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 2_000_000), 1, 200).Draw(rt, "pauses") // microseconds
		synctest.Test(t, func(*testing.T) {
			r, began, taken := admission.NewRates(perSecond, burst), time.Now(), 0
			for _, pause := range pauses {
				time.Sleep(time.Duration(pause) * time.Microsecond)
				if !r.Allow("a") {
					time.Sleep(time.Second)
					if !r.Allow("a") {
						rt.Fatal("refused again, a second later")
					}
				}
				taken++
				if most := float64(burst) + time.Since(began).Seconds()*float64(perSecond); float64(taken) > most+0.001 {
					rt.Fatalf("%d at %d/s and a burst of %d within %v", taken, perSecond, burst, time.Since(began))
				}
			}
		})
	})
}

func TestCallersDoNotCountAgainstEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := admission.NewRates(1, 2)
		for range 2 {
			if !r.Allow("a") || !r.Allow("b") {
				t.Fatal("refused within the burst")
			}
		}
		if r.Allow("a") || r.Allow("b") || !r.Allow("c") {
			t.Error("the rates are not the callers' own")
		}
	})
}

// However many callers there are, it remembers a bounded number; and one who keeps sending is not forgotten.
func TestCallersAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := admission.NewRates(1, 1)
		r.Allow("busy")
		for i := range 100_000 {
			if !r.Allow(fmt.Sprint(i)) {
				t.Fatalf("the first of caller %d is refused", i)
			}
			if i%1000 == 0 && r.Allow("busy") {
				t.Fatalf("who keeps sending was forgotten after %d others", i)
			}
		}
		if n := r.Remembered(); n > 20_000 {
			t.Errorf("%d callers are remembered", n)
		}
	})
}

func TestARateOfNothingBoundsNothing(t *testing.T) {
	t.Parallel()
	r := admission.NewRates(0, 0)
	for range 100 {
		if !r.Allow("a") {
			t.Fatal("refused")
		}
	}
}
