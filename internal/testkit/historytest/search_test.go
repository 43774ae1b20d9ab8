package historytest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// depth is how far TestSearch goes; `make search` goes farther.
var depth = flag.Int("depth", 1, "search so far; see budgets")

// budget is how much may still happen after a state.
type budget struct {
	Conversations int // of callers, enrollments and imports included
	Commands      int // of an operator
	Events        int // of the clock, and rows that are restored or deleted
	Troubles      int // how many verbs may meet one
}

// budgets are those of each depth.
var budgets = []budget{
	1: {Conversations: 1, Troubles: 1},
	2: {Conversations: 2, Troubles: 1},
	3: {Conversations: 1, Commands: 1, Troubles: 1},
	4: {Conversations: 1, Events: 1, Troubles: 1},
	5: {Conversations: 2, Troubles: 2},
	6: {Conversations: 2, Events: 1, Troubles: 2},
	7: {Conversations: 2, Commands: 1, Events: 1, Troubles: 3},
}

// state is one that a history has reached, by the shortest way.
type state struct {
	ops    []op
	left   budget
	digest string
	asleep [2]bool
	// conversation is that of each process that sleeps: the state in which it began, and what was to happen.
	conversation [2]string
	// memory is what else each process knows and nothing stores: clocks that jumped, a network that failed, calls that were repeated.
	memory [2]string
}

func (s state) key() string { return fmt.Sprint(s.left, s.digest, s.conversation, s.memory) }

// search tries every history within a budget, breadth first: the first fault that it finds has the shortest history.
type search struct {
	env   *env
	world history
	seen  map[string]bool
	next  []state
	tried int
}

// TestSearch lets every history of few verbs happen: conversations of any kind, a command and events in any order, each with every
// fault at every moment, in two processes. Two conversations interleave where one of them sleeps. Histories that reach the same state
// are continued once.
func TestSearch(t *testing.T) {
	t.Parallel()
	for name, world := range map[string]history{
		"a PIN, one key moves, old keys count as wrong PINs": {
			Lost: inwebosim.LostFinalizeStrict, Ratchet: inwebosim.RatchetDK1, SecondRound: inwebosim.SecondRoundNever,
			ChecksPIN: true, HasPIN: true, Processes: 2,
		},
		"no PIN, all keys move, old keys are forbidden, two rounds": {
			Lost: inwebosim.LostFinalizeForbidden, Ratchet: inwebosim.RatchetK0K1dK1, SecondRound: inwebosim.SecondRoundAlways,
			ChecksPIN: false, Processes: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world.isDigested = true
			s := &search{env: newEnv(t, stores[0]), world: world, seen: map[string]bool{}}
			defer s.env.close()
			s.run(t, budgets[*depth])
		})
	}
}

func (s *search) run(t *testing.T, within budget) {
	t.Helper()
	states := []state{{left: within}}
	began := time.Now()
	for level := 1; len(states) > 0; level++ {
		s.next = nil
		for i, from := range states {
			if *depth > 1 && i > 0 && i%20 == 0 {
				fmt.Fprintf(os.Stderr, "%s: %d of %d states, %d histories, %v\n", t.Name(), i, len(states), s.tried, time.Since(began).Round(time.Second))
			}
			if faults := s.expand(from); len(faults) > 0 {
				t.Fatalf("after %d histories: %s", s.tried, strings.Join(faults, "\n"))
			}
		}
		states = s.next
		t.Logf("%d ops: %d new states, %d in all, %d histories", level, len(states), len(s.seen), s.tried)
	}
}

// expand continues from a state with everything that can happen, and returns the faults of the first history that has any.
func (s *search) expand(from state) []string {
	for _, o := range from.possible() {
		if _, faults := s.try(from, o); len(faults) > 0 {
			return faults
		}
		if verbOf(o.Verb).isIdle || from.left.Troubles == 0 {
			continue
		}
		for _, moments := range everyTrouble() {
			for _, moment := range moments {
				o.Troubles = []trouble{moment}
				befell, faults := s.try(from, o)
				if len(faults) > 0 {
					return faults
				}
				if !befell { // the verb was over before, and so it is for all later moments
					break
				}
			}
		}
	}
	return nil
}

// try lets one thing happen after a state, and reports whether its trouble befell it.
func (s *search) try(from state, o op) (befell bool, faults []string) {
	s.tried++
	h := s.world
	h.Ops = append(slices.Clone(from.ops), o)
	r := s.env.let(h)
	if len(r.faults) > 0 {
		return false, r.faults
	}
	if len(o.Troubles) > 0 && !r.befell {
		return false, nil
	}
	to := from.after(o, r)
	if s.seen[to.key()] {
		return true, nil
	}
	s.seen[to.key()] = true
	s.next = append(s.next, to)
	return true, s.probe(to)
}

// probe asks for an OTP when any lease of the state has ended, and returns the faults: the answer shows what has become of the device.
func (s *search) probe(at state) []string {
	s.tried++
	h := s.world
	call := op{Verb: "otp"}
	if at.asleep[0] {
		call.Process = 1
	}
	h.Ops = append(slices.Clone(at.ops), op{Verb: "time passes", Time: 20 * time.Second})
	if !at.asleep[call.Process] {
		h.Ops = append(h.Ops, call)
	}
	return s.env.let(h).faults
}

// everyTrouble returns, for each fault, its troubles at every moment of a verb, in their order.
func everyTrouble() (all [][]trouble) {
	last := map[faultSite]int{exchanges: 6, reads: 6, writes: 8, steps: 40}
	for _, f := range faults {
		forms := []inwebosim.Form{""}
		if f.hasForm {
			forms = []inwebosim.Form{"truncated", "K1-short"}
		}
		for _, form := range forms {
			var moments []trouble
			for at := range last[f.place] {
				if f.only == "" {
					moments = append(moments, trouble{Fault: f.name, At: at + 1, Form: form})
				}
			}
			all = append(all, moments)
		}
	}
	return all
}

// kinds of what may happen, by the part of the budget that it uses.
var (
	searchedConversations = []op{
		{Verb: "otp"}, {Verb: "otp", WrongPIN: true}, {Verb: "repeat"}, {Verb: "enroll", Other: true}, {Verb: "enroll", Other: true, WrongPIN: true},
	}
	searchedCommands = []op{
		{Verb: "import"},
		{Verb: "import", Other: true},
		{Verb: "forget"},
		{Verb: "disable"},
		{Verb: "unlock"},
		{Verb: "doubt"},
		{Verb: "reread"},
		{Verb: "restart"},
	}
	searchedEvents = []op{
		{Verb: "time passes", Time: 6 * time.Second},
		{Verb: "time passes", Time: 20 * time.Second},
		{Verb: "time passes", Time: 16 * time.Minute},
		{Verb: "clock jumps", Time: time.Hour},
		{Verb: "clock jumps", Time: -time.Hour},
		{Verb: "restore row", Number: 1 << 20},
		{Verb: "delete row"},
	}
)

// possible returns what may happen next. A process does it that is awake: the first, if it can.
func (s state) possible() (all []op) {
	if s.asleep[0] || s.asleep[1] {
		all = append(all, op{Verb: "wake"})
	}
	add := func(left int, ops []op) {
		if left == 0 {
			return
		}
		for _, o := range ops {
			v := verbOf(o.Verb)
			if s.asleep[0] && !v.isIdle {
				o.Process = 1
			}
			if s.asleep[o.Process] && !v.isIdle || v.byOperator && (s.asleep[0] || s.asleep[1]) {
				continue
			}
			all = append(all, o)
		}
	}
	add(s.left.Conversations, searchedConversations)
	add(s.left.Commands, searchedCommands)
	add(s.left.Events, searchedEvents)
	return all
}

// after returns the state that an op leads to.
func (s state) after(o op, r result) state {
	to := s
	to.ops, to.digest, to.asleep = append(slices.Clone(s.ops), o), r.digest, r.asleep
	is := func(other op) bool { return other.Verb == o.Verb }
	switch {
	case slices.ContainsFunc(searchedConversations, is):
		to.left.Conversations--
	case slices.ContainsFunc(searchedCommands, is):
		to.left.Commands--
	case slices.ContainsFunc(searchedEvents, is):
		to.left.Events--
	}
	to.left.Troubles -= len(o.Troubles)
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // an op has no field that cannot be marshaled
	}
	for i := range to.asleep {
		switch {
		case !to.asleep[i]:
			to.conversation[i] = ""
		case !s.asleep[i]:
			to.conversation[i] = s.digest + string(text)
		}
	}
	switch {
	case o.Verb == "clock jumps":
		to.memory[0] += string(text)
		to.memory[1] += string(text)
	case o.isFatal():
		to.memory[o.Process] = ""
	case o.Verb == "repeat", o.meets(neverSent):
		to.memory[o.Process] += s.digest + string(text)
	}
	return to
}

// isFatal reports whether the process of the op is replaced by a new one.
func (o op) isFatal() bool { return o.Verb == "restart" || o.meets(crash) }

func (o op) meets(fault string) bool {
	return slices.ContainsFunc(o.Troubles, func(t trouble) bool { return t.Fault == fault })
}
