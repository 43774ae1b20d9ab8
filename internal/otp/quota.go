package otp

import (
	"slices"
	"time"
)

// quotaWindow is the time in which an account's OTPs are counted (docs/protocol.md §7).
const quotaWindow = 24 * time.Hour

// Quota are the OTPs of an account in the last 24 hours, oldest first, including those that may have been issued.
type Quota struct {
	Issues []Issue `json:"units,omitempty"`
}

// Issue is one OTP that counts.
type Issue struct {
	Conversation string    `json:"conversation"`
	At           time.Time `json:"at"` // by when inWebo has counted it
}

// take returns q with an OTP of the conversation, of perDay in any 24 hours; 0 turns the quota off. inWebo may count the OTP as late as
// until, and is to see no more than the quota in 24 hours of its own.
func (q Quota) take(conversation string, clock ClockReading, until time.Time, perDay int) (Quota, error) {
	units := slices.DeleteFunc(slices.Clone(q.Issues), func(u Issue) bool { return clock.Left(u.At, quotaWindow) <= 0 })
	if perDay == 0 {
		return Quota{units}, nil
	}
	if excess := len(units) - perDay; excess >= 0 {
		left := make([]time.Duration, len(units))
		for i, u := range units {
			left[i] = clock.Left(u.At, quotaWindow)
		}
		slices.Sort(left)
		return Quota{units}, &RetryAfterError{ErrQuota, left[excess]}
	}
	return Quota{append(units, Issue{conversation, until})}, nil
}

// release removes the conversation's OTP.
func (q Quota) release(conversation string) Quota {
	return Quota{slices.DeleteFunc(slices.Clone(q.Issues), func(u Issue) bool { return u.Conversation == conversation })}
}

// withIssueOf returns q with the conversation's OTP of other, unless q has it.
func (q Quota) withIssueOf(conversation string, other Quota) Quota {
	units := withElement(q.Issues, other.Issues, func(unit Issue) bool { return unit.Conversation == conversation })
	slices.SortStableFunc(units, func(a, b Issue) int { return a.At.Compare(b.At) })
	return Quota{units}
}

// Allowance is what is left of a quota.
type Allowance struct {
	PerDay int           // in any 24 hours; 0: the quota is off
	Left   int           // OTPs that the account may still ask for
	Renews time.Duration // until one more is left; 0 when all are
}

func (q Quota) allowance(now time.Time, perDay int) Allowance {
	a := Allowance{PerDay: perDay, Left: q.Left(now, perDay)}
	for _, u := range q.Issues { // oldest first
		if age := now.Sub(u.At); age < quotaWindow {
			a.Renews = quotaWindow - age
			break
		}
	}
	return a
}

// Left is how many OTPs the account may still ask for now.
func (q Quota) Left(now time.Time, perDay int) int {
	taken := 0
	for _, u := range q.Issues {
		if now.Sub(u.At) < quotaWindow {
			taken++
		}
	}
	return max(0, perDay-taken)
}

// ActivationLimits are the settings of the count of SMS activations. inWebo locks an account after about twenty, whatever
// became of them (docs/protocol.md §7), and no one has seen that undone.
type ActivationLimits struct {
	Warn   int // from so many on, few are left; 0: never
	Refuse int // when so many were tried, another one must be forced; 0: no limit
}

// Activations is how many SMS activations of an account inWebo may have counted, and what that means.
type Activations struct {
	Tried     int
	FewLeft   bool // a person should be warned
	Exhausted bool // the next one must be forced
}

func (l ActivationLimits) check(tried int) Activations {
	return Activations{
		Tried:     tried,
		FewLeft:   l.Warn > 0 && tried >= l.Warn,
		Exhausted: l.Refuse > 0 && tried >= l.Refuse,
	}
}
