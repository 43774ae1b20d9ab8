package app

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

// aged is a store with a clock that can be wrong, and remembers what it was last told to forget.
type aged struct {
	Store
	mu                     sync.Mutex
	off                    time.Duration // of the clock
	responses, keys, lines time.Time     // what is older is forgotten, by a clock that is right
}

// set makes the clock wrong by off from now on.
func (s *aged) set(off time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

func (s *aged) Fetch(context.Context, otp.Account) (otp.Row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return otp.Row{}, time.Now().Add(s.off), otp.ErrNotFound
}

func (s *aged) ForgetAnswers(_ context.Context, answerLife, keyLife time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Add(s.off)
	s.responses, s.keys = now.Add(-answerLife), now.Add(-keyLife)
	return nil
}

func (s *aged) ForgetLines(_ context.Context, age time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = time.Now().Add(s.off - age)
	return nil
}

// removed returns what was last forgotten, as the fields say.
func (s *aged) removed() (responses, keys, lines time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.responses, s.keys, s.lines
}

const (
	testAnswerLife = time.Minute
	testRetention  = 30 * 24 * time.Hour
)

// watched runs housekeeping on a store whose clock is off by that much at first.
func watched(t *testing.T, off time.Duration) *aged {
	store := &aged{off: off}
	c := config.Default()
	c.Idempotency.AnswerLife, c.Audit.Retention = testAnswerLife, testRetention
	a := &App{Core: &Core{Store: store}, config: c, logger: zap.NewNop()}
	go a.cleanup(t.Context())
	return store
}

// wait lets a time pass and the housekeeping of that time end.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expectEarly fails if something was forgotten before its time.
func (s *aged) expectEarly(t *testing.T, when string, want bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	early := s.responses.After(now.Add(-testAnswerLife)) || s.keys.After(now.Add(-keyLife)) || s.lines.After(now.Add(-testRetention))
	if early != want {
		t.Errorf("%s, what is forgotten is older than %v, %v and %v", when, now.Sub(s.responses), now.Sub(s.keys), now.Sub(s.lines))
	}
}

func TestHousekeepingWhenTheClockIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := watched(t, 0)
		wait(2 * otp.ClockProbation)
		if _, _, lines := store.removed(); time.Since(lines) > testRetention+cleanupInterval {
			t.Fatalf("with a clock that is right, lines are %v old when they are forgotten", time.Since(lines))
		}
		for _, off := range []time.Duration{time.Minute, 10 * 365 * 24 * time.Hour} {
			store.set(off)
			for range 100 {
				wait(cleanupInterval)
				store.expectEarly(t, "with a clock that is ahead", false)
			}
			store.set(0)
			wait(cleanupInterval)
			store.expectEarly(t, "when it is right again", false)
			if responses, _, _ := store.removed(); time.Since(responses) > testAnswerLife+cleanupInterval {
				t.Errorf("and then responses are %v old when they are discarded", time.Since(responses))
			}
		}
	})
}

// A clock that goes on from where it jumped to is right, or no one can know better.
func TestHousekeepingBelievesAClockInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := watched(t, 0)
		wait(2 * otp.ClockProbation)
		store.set(time.Hour) // the machine has slept
		wait(otp.ClockProbation + 2*cleanupInterval)
		store.expectEarly(t, "long after the jump", true)
	})
}

// A clock that was wrong before the process began makes nothing old: a response is discarded when its life has passed since, and
// what is kept for longer stays until the probation is over.
func TestHousekeepingSoonAfterAStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := watched(t, 365*24*time.Hour)
		wait(testAnswerLife)
		if responses, _, _ := store.removed(); !responses.IsZero() {
			t.Errorf("within the life of a response after a start, responses from before %v are discarded", responses)
		}
		wait(2 * cleanupInterval)
		if responses, _, _ := store.removed(); responses.IsZero() {
			t.Error("responses are not discarded when their life has passed since the start")
		}
		wait(otp.ClockProbation / 2)
		if _, keys, lines := store.removed(); !lines.IsZero() || keys.After(time.Now().Add(-keyLife)) {
			t.Errorf("soon after a start lines from before %v and keys from before %v are forgotten", lines, keys)
		}
	})
}
