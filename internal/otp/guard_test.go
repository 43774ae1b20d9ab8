package otp

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rightClock is the reading of a clock that is right.
func rightClock(now time.Time) ClockReading { return ClockReading{Now: now} }

var guardLimits = GuardLimits{Attempts: 2, Pause: 5 * time.Second, Unanswered: 15 * time.Minute}

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func waitOf(t rapid.TB, err, cause error) time.Duration {
	t.Helper()
	var wait *RetryAfterError
	if !errors.As(err, &wait) || !errors.Is(err, cause) {
		t.Fatalf("%v; want a wait for %v", err, cause)
	}
	return wait.For
}

func mustTake(t rapid.TB, g Guard, conversation string, at time.Time) Guard {
	t.Helper()
	g, err := g.take(conversation, rightClock(at), guardLimits)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuardPausesAfterAWrongPIN(t *testing.T) {
	g := mustTake(t, Guard{}, "a", epoch).countWrong("a", epoch)
	_, err := g.take("b", rightClock(epoch.Add(2*time.Second)), guardLimits)
	if wait := waitOf(t, err, ErrPINHeldBack); wait != 3*time.Second {
		t.Errorf("wait %v, want 3s", wait)
	}
	mustTake(t, g, "b", epoch.Add(5*time.Second))
}

func TestGuardLocksWhateverTimePasses(t *testing.T) {
	g := mustTake(t, Guard{}, "a", epoch).countWrong("a", epoch)
	g = mustTake(t, g, "b", epoch.Add(time.Minute)).countWrong("b", epoch)
	if _, err := g.take("c", rightClock(epoch.AddDate(10, 0, 0)), guardLimits); !errors.Is(err, ErrPINLocked) {
		t.Errorf("ten years later: %v; want ErrPINLocked", err)
	}
	mustTake(t, g.forgive(), "c", epoch)
}

func TestGuardHoldsBackForGuessesWithoutAnswer(t *testing.T) {
	g := mustTake(t, Guard{}, "a", epoch)
	g = mustTake(t, g, "b", epoch.Add(time.Minute))
	_, err := g.take("c", rightClock(epoch.Add(2*time.Minute)), guardLimits)
	if wait := waitOf(t, err, ErrPINHeldBack); wait != 13*time.Minute {
		t.Errorf("wait %v, want 13m", wait)
	}
	if g := mustTake(t, g, "c", epoch.Add(15*time.Minute)); len(g.Attempts) != 2 {
		t.Errorf("%+v are counted; want those of b and c", g.Attempts)
	}
	mustTake(t, g.release("b"), "c", epoch.Add(2*time.Minute))
}

// A success proves that inWebo counts from zero again; a guess whose holder vanished may still reach it.
func TestGuardForgivesWhatIsOver(t *testing.T) {
	g := mustTake(t, Guard{}, "lost", epoch).keepUnanswered("lost")
	g = mustTake(t, g, "vanished", epoch).forgive()
	if len(g.Attempts) != 1 || g.Attempts[0].Conversation != "vanished" {
		t.Errorf("guesses after a success: %+v; want the vanished one", g.Attempts)
	}
}

func TestGuardOff(t *testing.T) {
	g := Guard{Wrong: 9}
	if g, err := g.take("a", rightClock(epoch), GuardLimits{}); err != nil || len(g.Attempts) != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	if g.isLocked(GuardLimits{}) {
		t.Error("it is locked")
	}
}

// Whatever happens, the PINs forwarded since the last success that may have been wrong never exceed the attempts, unless the answer of one
// was lost for longer than the setting; and a caller that waits as told is not refused for it again.
func TestGuardProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := GuardLimits{
			Attempts: rapid.IntRange(1, 2).Draw(t, "attempts"), Pause: 5 * time.Second, Unanswered: 15 * time.Minute,
		}
		g, now, counted := Guard{}, epoch, 0
		var unanswered []time.Time // when each was forwarded
		for i := range rapid.IntRange(1, 40).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			unanswered = slices.DeleteFunc(unanswered, func(at time.Time) bool { return now.Sub(at) >= limits.Unanswered })
			conversation := string(rune('A' + i))
			next, err := g.take(conversation, rightClock(now), limits)
			if errors.Is(err, ErrPINLocked) {
				continue
			}
			if err != nil {
				later := now.Add(waitOf(t, err, ErrPINHeldBack))
				if _, err := g.take(conversation, rightClock(later), limits); err != nil {
					t.Fatalf("after the wait: %v", err)
				}
				continue
			}
			g = next
			switch rapid.SampledFrom([]string{"right", "wrong", "other refusal", "no answer"}).Draw(t, "result") {
			case "right":
				g, counted, unanswered = g.forgive().release(conversation), 0, nil
			case "wrong":
				g, counted = g.countWrong(conversation, now), counted+1
			case "no answer":
				g, unanswered = g.keepUnanswered(conversation), append(unanswered, now)
			default:
				g = g.release(conversation)
			}
			if counted+len(unanswered) > limits.Attempts {
				t.Fatalf("inWebo may count %d wrong PINs, and %d more without an answer", counted, len(unanswered))
			}
		}
	})
}

func TestQuotaProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perDay := rapid.IntRange(1, 6).Draw(t, "perDay")
		q, now := Quota{}, epoch
		var taken []time.Time
		for i := range rapid.IntRange(1, 60).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12*60).Draw(t, "minutes")) * time.Minute)
			conversation := string(rune('A' + i))
			late := time.Duration(rapid.IntRange(0, 17).Draw(t, "late")) * time.Second // as inWebo's answer may be
			next, err := q.take(conversation, rightClock(now), now.Add(17*time.Second), perDay)
			if err != nil {
				later := now.Add(waitOf(t, err, ErrQuota))
				if _, err := q.take(conversation, rightClock(later), later, perDay); err != nil {
					t.Fatalf("after the wait: %v", err)
				}
				if q.Left(now, perDay) != 0 {
					t.Fatal("refused with units left")
				}
				continue
			}
			left := q.Left(now, perDay)
			if q = next; q.Left(now, perDay) != left-1 {
				t.Fatalf("left %d, then %d", left, q.Left(now, perDay))
			}
			if rapid.Bool().Draw(t, "given back") {
				q = q.release(conversation)
				continue
			}
			taken = append(taken, now.Add(late))
			if n := len(taken); n > perDay && taken[n-1].Sub(taken[n-1-perDay]) < quotaWindow {
				t.Fatalf("%d OTPs within 24 h", perDay+1)
			}
		}
	})
}

func TestQuotaOffTakesNothing(t *testing.T) {
	if q, err := (Quota{}).take("a", rightClock(epoch), epoch, 0); err != nil || len(q.Issues) != 0 {
		t.Errorf("%+v, %v", q, err)
	}
}
