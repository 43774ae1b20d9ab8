package replicatest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
)

// An event is something that answers may be explained by.
type event struct {
	name         string
	of           *process // nil: it concerns all
	began, ended time.Time
}

// goesOn is the end of an event that has not ended.
var goesOn = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// events are what has happened so far.
type events struct {
	mu  sync.Mutex
	all []event
}

// begin notes an event, which goes on until end is called.
func (e *events) begin(name string, of *process) (end func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := len(e.all)
	e.all = append(e.all, event{name, of, time.Now(), goesOn})
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.all[i].ended = time.Now()
	}
}

// any reports whether an event of one of these names went on between two moments, for the process or for all.
func (e *events) any(from, to time.Time, of *process, names ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, func(one event) bool {
		return slices.Contains(names, one.name) && (one.of == nil || one.of == of) && one.began.Before(to) && one.ended.After(from)
	})
}

// before lists the events of the minute before a moment.
func (e *events) before(moment time.Time) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var lines []string
	for _, one := range e.all {
		if one.ended.After(moment.Add(-time.Minute)) && one.began.Before(moment) {
			lines = append(lines, fmt.Sprintf("%s from %v to %v", one.name, one.began.Sub(moment), one.ended.Sub(moment)))
		}
	}
	return strings.Join(lines, "; ")
}

// watchStalls notes when the machine gave this process no time to run, until ctx is over: then it may have given none to others either.
func (e *events) watchStalls(ctx context.Context) {
	const pause, stall = 100 * time.Millisecond, time.Second
	for ctx.Err() == nil {
		began := time.Now()
		wait(ctx, pause)
		if time.Since(began) > pause+stall {
			e.mu.Lock()
			e.all = append(e.all, event{stalled, nil, began, time.Now()})
			e.mu.Unlock()
		}
	}
}

// attempt is a call, or a command of an operator, and what came of it.
type attempt struct {
	kind    string
	account string
	process *process  // nil: a command
	first   time.Time // when the first call began, if this one repeats it

	asked, answered time.Time
	lost            time.Time // when an answer to an earlier call for the account was lost; zero if it had an OTP since
	guesses         int       // of the PIN since that OTP, as far as they may count: it was wrong, or the answer is lost
	reached         time.Time // when the process had its last answer of inWebo before the attempt; zero if it had none
	untried         bool      // the account's device was imported, and has made no OTP since: it is in doubt
	reason          errcodes.Reason
	err             error // there was no answer
}

// outcome is what the caller was told, in a few words.
func (a attempt) outcome() string {
	switch {
	case a.err != nil:
		return "no answer"
	case a.reason != "":
		return string(a.reason)
	default:
		return "success"
	}
}

// reaches reports whether the process had an answer of inWebo.
func (a attempt) reaches() bool {
	return a.err == nil && (a.reason == "" || a.reason == errcodes.ReasonPINRefused || a.reason == errcodes.ReasonDeviceInDoubt)
}

// isGuess reports whether the attempt may count as a guess of the PIN.
func (a attempt) isGuess() bool { return a.losesAnswer() || a.reason == errcodes.ReasonPINRefused }

// losesAnswer reports whether an answer of inWebo for the account may be lost from now on.
func (a attempt) losesAnswer() bool { return a.err != nil || slices.Contains(losing, a.reason) }

// losing are the reasons of answers after which the account's device may be in doubt, or leased.
var losing = []errcodes.Reason{
	errcodes.ReasonInweboUnreachable, errcodes.ReasonInweboLate, errcodes.ReasonStoreFailed, errcodes.ReasonStateNotStored,
	errcodes.ReasonSecondRoundFailed, errcodes.ReasonSynchronizationFailed, errcodes.ReasonAnswerUnreadable, errcodes.ReasonOvertaken,
	errcodes.ReasonDeviceInDoubt, errcodes.ReasonDeviceInDoubtNoGuess,
}

// A cause is what explains an outcome. It reports whether it was there.
type cause func(*events, attempt) bool

// The names of events that are not troubles.
const (
	gone    = "gone"    // a process was killed, or told to end
	stalled = "stalled" // the machine gave the test no time to run
)

// network are the troubles between pimsd and inWebo.
var network = []string{"connections cut", "connections reset", "no network"}

// Times of the settings that the soak has, and of those that it leaves as they are.
const (
	leaseTime    = 14 * time.Second // conversation.deadline, and the margin for clocks that differ in pace
	circuitTime  = 11 * time.Second // the last exchange may end so long after the trouble, and open the circuit for 5 s, which half opens for 1 s
	storeTime    = 5 * time.Second  // of one call of the store
	responseTime = time.Minute      // idempotency.answer_life
)

// always explains what a caller of that kind is told whatever happens.
func always(*events, attempt) bool { return true }

// during returns the cause that one of the troubles went on during the attempt, or ended so long before.
func during(after time.Duration, names ...string) cause {
	return func(e *events, a attempt) bool { return e.any(a.asked.Add(-after), a.answered, a.process, names...) }
}

// lostBefore returns the cause that an answer to an earlier call for the account was lost, at most so long before.
func lostBefore(within time.Duration) cause {
	return func(_ *events, a attempt) bool { return !a.lost.IsZero() && a.asked.Sub(a.lost) <= within }
}

// isUntried is the cause that an imported device is in doubt until its first OTP.
func isUntried(_ *events, a attempt) bool { return a.untried }

// isUnprobed is the cause that the process has not reached inWebo since the last trouble of the network: one call tries, and others are
// refused until it has an answer.
func isUnprobed(e *events, a attempt) bool {
	return !a.reached.IsZero() && e.any(a.reached, a.answered, a.process, network...)
}

// isLocked is the cause that as many guesses of the PIN count as pin_guard.attempts allows: until there is an OTP, or an operator unlocks.
func isLocked(_ *events, a attempt) bool { return a.guesses >= pinAttempts }

// isSpent is the cause of a repeat that comes too late, by the clock of the store, or as far as that clock can be trusted.
func isSpent(e *events, a attempt) bool {
	return a.answered.Sub(a.first) >= responseTime || e.any(a.first, a.answered, nil, "clock step")
}

// explained has what explains each outcome, by the kind of attempt.
var explained = func() map[string]map[string][]cause {
	const ever = 24 * time.Hour
	throughTrouble := func(more map[string][]cause) map[string][]cause {
		all := map[string][]cause{
			"no answer":              {during(0, gone)},
			"service_stopping":       {during(0, gone)},
			"inwebo_unreachable":     {during(0, network...)},
			"inwebo_late":            {during(0, network...), during(0, stalled)},
			"inwebo_circuit_open":    {during(circuitTime, network...), isUnprobed},
			"second_round_failed":    {during(0, network...)},
			"synchronization_failed": {during(0, network...)},
			"store_failed":           {during(storeTime, "database killed", stalled)},
			"state_not_stored":       {during(storeTime, "database killed", stalled)},
			"device_in_doubt":        {lostBefore(ever), isUntried}, "device_in_doubt_no_guess": {lostBefore(ever)}, "overtaken": {lostBefore(ever)},
			"pin_locked": {isLocked}, "pin_held_back": {isLocked}, // where an answer is lost, for a while
			"device_busy": {lostBefore(leaseTime)},
		}
		for outcome, causes := range more {
			all[outcome] = append(all[outcome], causes...)
		}
		return all
	}
	return map[string]map[string][]cause{
		"PIN":       throughTrouble(map[string][]cause{"success": {always}}),
		"wrong PIN": throughTrouble(map[string][]cause{"pin_refused": {always}}),
		"repeat": throughTrouble(map[string][]cause{
			"success": {always}, "idempotency_in_flight": {lostBefore(leaseTime)}, "idempotency_key_spent": {isSpent},
		}),
		"stranger": {
			"unauthenticated": {always}, "no answer": {during(0, gone)}, "service_stopping": {during(0, gone)},
			"store_failed": {during(storeTime, "database killed", stalled)},
		},
		"enrollment": throughTrouble(map[string][]cause{"success": {always}, "activation_lost": {during(0, network...)}}),
		"import":     throughTrouble(map[string][]cause{"success": {always}}),
	}
}()

// explain reports whether there was a cause of what came of an attempt.
func (e *events) explain(a attempt) bool {
	return slices.ContainsFunc(explained[a.kind][a.outcome()], func(is cause) bool { return is(e, a) })
}

// remember adds to what happened to an account, and returns the last of it.
func (s *soak) remember(account, what string) []string {
	const most = 8
	past, _ := s.history.Load(account)
	history, _ := past.([]string)
	history = append(history[max(0, len(history)-most):len(history):len(history)], what)
	s.history.Store(account, history)
	return history
}

// explain counts an outcome, and wants a cause that explains it.
func (s *soak) explain(a attempt) {
	s.count(a.kind + ": " + a.outcome())
	history := s.remember(a.account, fmt.Sprintf("%s %s: %s", a.answered.Format(time.TimeOnly), a.kind, a.outcome()))
	if s.events.explain(a) {
		return
	}
	lost := "no answer was lost before"
	if !a.lost.IsZero() {
		lost = fmt.Sprintf("an answer was lost %v before", a.answered.Sub(a.lost))
	}
	s.t.Errorf("%v: nothing explains %s: %s for %s, asked %v before, error %v; %s; history: %v; events: %s", a.answered.Format(time.StampMilli), a.kind,
		a.outcome(), a.account, a.answered.Sub(a.asked), a.err, lost, history, s.events.before(a.answered))
}

// An outcome is explained by what went on at its time, and by nothing else.
func TestSoakExplains(t *testing.T) {
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	first, second := &process{}, &process{}
	e := &events{all: []event{
		{name: "no network", began: at(10), ended: at(12)},
		{name: gone, of: second, began: at(20), ended: goesOn},
		{name: "clock step", began: at(30), ended: at(30).Add(time.Millisecond)},
		{name: "database killed", began: at(40), ended: at(41)},
	}}
	for _, tt := range []struct {
		what string
		a    attempt
		want bool
	}{
		{"an OTP", attempt{kind: "PIN", asked: at(1), answered: at(2)}, true},
		{"an OTP for a wrong PIN", attempt{kind: "wrong PIN", asked: at(1), answered: at(2)}, false},
		{"unreachable during the trouble", attempt{kind: "PIN", reason: "inwebo_unreachable", asked: at(11), answered: at(13)}, true},
		{"unreachable before it", attempt{kind: "PIN", reason: "inwebo_unreachable", asked: at(8), answered: at(9)}, false},
		{"unreachable after it", attempt{kind: "PIN", reason: "inwebo_unreachable", asked: at(13), answered: at(14)}, false},
		{"circuit open after it", attempt{kind: "PIN", reason: "inwebo_circuit_open", asked: at(13), answered: at(14)}, true},
		{"circuit open long after it", attempt{kind: "PIN", reason: "inwebo_circuit_open", reached: at(13), asked: at(24), answered: at(25)}, false},
		{"circuit open before the first probe", attempt{kind: "PIN", reason: "inwebo_circuit_open", reached: at(9), asked: at(24), answered: at(25)}, true},
		{"no answer of a process that is gone", attempt{kind: "PIN", process: second, err: context.Canceled, asked: at(50), answered: at(51)}, true},
		{"no answer of the other", attempt{kind: "PIN", process: first, err: context.Canceled, asked: at(50), answered: at(51)}, false},
		{"spent after a step of the clock", attempt{kind: "repeat", reason: "idempotency_key_spent", first: at(29), asked: at(31), answered: at(32)}, true},
		{"spent after no step", attempt{kind: "repeat", reason: "idempotency_key_spent", first: at(32), asked: at(33), answered: at(34)}, false},
		{"spent after a minute", attempt{kind: "repeat", reason: "idempotency_key_spent", first: at(32), asked: at(92), answered: at(93)}, true},
		{"in flight after a lost answer", attempt{kind: "repeat", reason: "idempotency_in_flight", lost: at(32), asked: at(33), answered: at(34)}, true},
		{"in flight after an answer", attempt{kind: "repeat", reason: "idempotency_in_flight", asked: at(33), answered: at(34)}, false},
		{"in flight after the lease", attempt{kind: "repeat", reason: "idempotency_in_flight", lost: at(32), asked: at(52), answered: at(53)}, false},
		{"in doubt after a lost answer", attempt{kind: "PIN", reason: "device_in_doubt", lost: at(32), asked: at(52), answered: at(53)}, true},
		{"in doubt after an OTP", attempt{kind: "PIN", reason: "device_in_doubt", asked: at(52), answered: at(53)}, false},
		{"locked after two guesses", attempt{kind: "PIN", reason: "pin_locked", guesses: 2, asked: at(52), answered: at(53)}, true},
		{"locked after one", attempt{kind: "PIN", reason: "pin_locked", guesses: 1, lost: at(51), asked: at(52), answered: at(53)}, false},
		{"lost, after whatever", attempt{kind: "PIN", reason: "device_lost", lost: at(10), untried: true, asked: at(11), answered: at(12)}, false},
		{"store failed", attempt{kind: "PIN", reason: "store_failed", asked: at(45), answered: at(46)}, true},
		{"store failed at other times", attempt{kind: "PIN", reason: "store_failed", asked: at(30), answered: at(31)}, false},
	} {
		if got := e.explain(tt.a); got != tt.want {
			t.Errorf("%s is explained: %v, want %v", tt.what, got, tt.want)
		}
	}
}
