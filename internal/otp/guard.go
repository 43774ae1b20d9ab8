package otp

import (
	"slices"
	"time"
)

// Guard counts the PINs of an account that were forwarded without success, so that no caller ever makes inWebo block the account.
// An attempt is taken durably before inWebo receives the PIN. It is removed when inWebo has answered, or has never received the PIN.
type Guard struct {
	// Wrong counts the proofs that inWebo refused since the last one it accepted.
	Wrong int `json:"wrong,omitempty"`
	// WrongAt is when the last one was refused.
	WrongAt time.Time `json:"wrongAt,omitzero"`
	// Attempts are those without an answer. Records that are stored have their older name.
	Attempts []Attempt `json:"guesses,omitempty"`
}

// Attempt is a PIN that is on its way to inWebo, or one whose answer was lost.
type Attempt struct {
	Conversation string    `json:"conversation"`
	At           time.Time `json:"at"`
	// Over means that its conversation has ended, so that the PIN cannot reach inWebo any more.
	Over bool `json:"over,omitempty"`
}

// GuardLimits are the settings of the guard.
type GuardLimits struct {
	Attempts   int           // attempts between two successes; 0 turns the guard off
	Pause      time.Duration // after a wrong PIN
	Unanswered time.Duration // how long an attempt without an answer counts
}

// unknown returns a guard for an account whose counts are not known: it has one attempt left.
func (l GuardLimits) unknown() Guard { return Guard{Wrong: max(0, l.Attempts-1)} }

// take returns g with an attempt of the conversation. ErrPINLocked, and ErrPINHeldBack with a RetryAfterError, mean that the PIN is not
// forwarded.
func (g Guard) take(conversation string, clock ClockReading, limits GuardLimits) (Guard, error) {
	g.Attempts = slices.DeleteFunc(slices.Clone(g.Attempts), func(attempt Attempt) bool {
		return clock.Left(attempt.At, limits.Unanswered) <= 0
	})
	if limits.Attempts == 0 {
		return g, nil
	}
	if g.isLocked(limits) {
		return g, ErrPINLocked
	}
	if wait := g.wait(clock, limits); wait > 0 {
		return g, &RetryAfterError{ErrPINHeldBack, wait}
	}
	g.Attempts = append(g.Attempts, Attempt{Conversation: conversation, At: clock.Now})
	return g, nil
}

// isLocked reports whether no attempt is forwarded until an operator unlocks the account, or a new device is enrolled.
func (g Guard) isLocked(limits GuardLimits) bool {
	return limits.Attempts > 0 && g.Wrong >= limits.Attempts
}

// wait returns how long the next attempt must wait, for a guard that is not locked: zero or less if it need not.
func (g Guard) wait(clock ClockReading, limits GuardLimits) time.Duration {
	wait := clock.Left(g.WrongAt, limits.Pause) // WrongAt is zero where Wrong is
	// Of the attempts without an answer, excess+1 must be too old to count before there is room for another. There are as many, because
	// Wrong is below the limit.
	if excess := g.Wrong + len(g.Attempts) - limits.Attempts; excess >= 0 {
		left := make([]time.Duration, len(g.Attempts))
		for i, attempt := range g.Attempts {
			left[i] = clock.Left(attempt.At, limits.Unanswered)
		}
		slices.Sort(left)
		wait = max(wait, left[excess])
	}
	return wait
}

// release removes the conversation's attempt: inWebo did not count it, or never received it.
func (g Guard) release(conversation string) Guard {
	g.Attempts = slices.DeleteFunc(slices.Clone(g.Attempts), func(attempt Attempt) bool { return attempt.Conversation == conversation })
	return g
}

// countWrong counts the conversation's attempt as a wrong PIN.
func (g Guard) countWrong(conversation string, now time.Time) Guard {
	g = g.release(conversation)
	g.Wrong++
	g.WrongAt = now
	return g
}

// keepUnanswered keeps the attempt of a conversation that is over: the PIN may have been wrong.
func (g Guard) keepUnanswered(conversation string) Guard {
	g.Attempts = slices.Clone(g.Attempts)
	for i := range g.Attempts {
		if g.Attempts[i].Conversation == conversation {
			g.Attempts[i].Over = true
		}
	}
	return g
}

// forgive returns g without what inWebo forgets with a success: the wrong PINs, and the attempts that are over. Any other attempt may still
// reach inWebo, and stays.
func (g Guard) forgive() Guard {
	return Guard{Attempts: slices.DeleteFunc(slices.Clone(g.Attempts), func(attempt Attempt) bool { return attempt.Over })}
}

// forgiveUntil is forgive for a success of the past that is known only now, because the answer was read again: what was counted after that
// time still counts.
func (g Guard) forgiveUntil(at time.Time) Guard {
	forgiven := g.since(at)
	forgiven.Attempts = slices.DeleteFunc(slices.Clone(g.Attempts), func(attempt Attempt) bool {
		return attempt.Over && !attempt.At.After(at)
	})
	return forgiven
}

// since returns a guard with what g has counted after that time. Of the wrong PINs only the time of the last one is known: if that is
// later, all of them count.
func (g Guard) since(at time.Time) (later Guard) {
	if g.WrongAt.After(at) {
		later.Wrong, later.WrongAt = g.Wrong, g.WrongAt
	}
	later.Attempts = slices.DeleteFunc(slices.Clone(g.Attempts), func(attempt Attempt) bool { return !attempt.At.After(at) })
	return later
}

// withAttemptOf returns g with the conversation's attempt of other, unless g has it.
func (g Guard) withAttemptOf(conversation string, other Guard) Guard {
	isIt := func(attempt Attempt) bool { return attempt.Conversation == conversation }
	g.Attempts = withElement(g.Attempts, other.Attempts, isIt)
	slices.SortStableFunc(g.Attempts, func(a, b Attempt) int { return a.At.Compare(b.At) })
	return g
}

// withElement returns a copy of elements, with the element of other that isIt finds, unless elements has one.
func withElement[T any](elements, other []T, isIt func(T) bool) []T {
	elements = slices.Clone(elements)
	if i := slices.IndexFunc(other, isIt); i >= 0 && !slices.ContainsFunc(elements, isIt) {
		elements = append(elements, other[i])
	}
	return elements
}

// settle returns the guard with the effect that an outcome has on the conversation's attempt.
func (g Guard) settle(effect attemptEffect, conversation string, now time.Time) Guard {
	switch effect {
	case attemptWrong:
		return g.countWrong(conversation, now)
	case attemptUnanswered:
		return g.keepUnanswered(conversation)
	case attemptForgiven:
		return g.forgive().release(conversation)
	case attemptForgivenAndKept:
		return g.forgive()
	case attemptReleased:
		return g.release(conversation)
	case attemptKept:
	}
	return g
}
