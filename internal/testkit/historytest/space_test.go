package historytest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// budget is how much may still happen after a state.
type budget struct {
	Conversations int // of callers, enrollments included
	Commands      int // of an operator, imports included
	Events        int // time that passes, and rows that are restored or deleted
	Jumps         int // of the store's clock
	Troubles      int // how many verbs may meet one
}

// depths are what TestSearch tries at each depth: everything within each of the budgets.
var depths = [][]budget{
	1: {{Conversations: 1, Troubles: 1}, {Conversations: 1, Commands: 1}, {Conversations: 3}},
	2: {{Conversations: 2, Troubles: 1}, {Conversations: 1, Commands: 2}, {Conversations: 1, Jumps: 2}},
	3: {{Conversations: 1, Commands: 1, Troubles: 1}},
	4: {{Conversations: 1, Events: 1, Troubles: 1}},
	5: {{Conversations: 2, Troubles: 2}},
	6: {{Conversations: 2, Events: 1, Troubles: 2}},
	7: {{Conversations: 2, Commands: 1, Events: 1, Jumps: 1, Troubles: 3}},
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

// branch is an op that can happen after a state: without trouble, or with each of one fault's troubles.
type branch struct {
	from     state
	op       op
	troubles []trouble
}

// branches returns everything that can happen after the state.
func (s state) branches() (all []branch) {
	for _, o := range s.possible() {
		all = append(all, branch{from: s, op: o})
		if verbOf(o.Verb).isIdle || s.left.Troubles == 0 {
			continue
		}
		for _, moments := range everyTrouble() {
			all = append(all, branch{from: s, op: o, troubles: moments})
		}
	}
	return all
}

// everyTrouble returns, for each fault, its troubles at every moment of a verb, in their order.
func everyTrouble() (all [][]trouble) {
	last := map[faultSite]int{exchanges: 6, reads: 6, writes: 8, steps: 40}
	for _, f := range faults {
		if f.only != "" || !isNamed(*only, f.name) {
			continue
		}
		forms := []inwebosim.Form{""}
		if f.hasForm {
			forms = []inwebosim.Form{"http-cut", "K1-short"} // of those that let no client wait
		}
		for _, form := range forms {
			var moments []trouble
			for at := range last[f.place] {
				moments = append(moments, trouble{Fault: f.name, At: at + 1, Form: form})
			}
			all = append(all, moments)
		}
	}
	return all
}

// kinds of what may happen, by the part of the budget that it uses. After a wrong PIN passes the time for which the next is held back.
var (
	searchedConversations = []op{
		{Verb: "otp"},
		{Verb: "otp", WrongPIN: true, Time: 6 * time.Second},
		{Verb: "repeat"},
		{Verb: "enroll", Other: true},
		{Verb: "enroll", Other: true, WrongPIN: true, Time: 6 * time.Second},
	}
	searchedCommands = []op{
		{Verb: "import"},
		{Verb: "import", Other: true},
		{Verb: "import", Account: 1},
		{Verb: "forget"},
		{Verb: "disable"},
		{Verb: "unlock"},
		{Verb: "doubt"},
		{Verb: "reread"},
		{Verb: "has PIN", Account: 1},
		{Verb: "forget disabled"},
		{Verb: "forget transferred", Other: true},
		{Verb: "clear quota"},
		{Verb: "restart"},
	}
	searchedEvents = []op{
		{Verb: "time passes", Time: 6 * time.Second},
		{Verb: "time passes", Time: 20 * time.Second},
		{Verb: "time passes", Time: 16 * time.Minute},
		{Verb: "restore row", Number: 1},
		{Verb: "restore row", Number: 1 << 20},
		{Verb: "delete row"},
	}
	searchedJumps = []op{{Verb: "clock jumps", Time: time.Hour}, {Verb: "clock jumps", Time: -time.Hour}}
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
			if !isNamed(*verbsTried, o.Verb) || s.asleep[o.Process] && !v.isIdle || v.byOperator && (s.asleep[0] || s.asleep[1]) {
				continue
			}
			all = append(all, o)
		}
	}
	add(s.left.Conversations, searchedConversations)
	add(s.left.Commands, searchedCommands)
	add(s.left.Events, searchedEvents)
	add(s.left.Jumps, searchedJumps)
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
	case slices.ContainsFunc(searchedJumps, is):
		to.left.Jumps--
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
