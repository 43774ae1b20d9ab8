package historytest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// depth is how far TestSearch goes; `make search` goes farther.
var depth = flag.Int("depth", 1, "search so far; see depths")

// budgeted is a budget that TestSearch tries instead of those of a depth.
var budgeted = flag.String("within", "", "search within this budget, in JSON")

// only names the faults that TestSearch tries, with underscores for blanks.
var only = flag.String("faults", "", "search with these faults alone, as lost_answer, separated by commas; empty: with all")

// verbsTried names the verbs that TestSearch tries, with underscores for blanks.
var verbsTried = flag.String("verbs", "", "search with these verbs alone, as clear_quota, separated by commas; empty: with all")

// isNamed reports whether a flag names what has that name, or names nothing.
func isNamed(names, name string) bool {
	return names == "" || slices.Contains(strings.Split(names, ","), strings.ReplaceAll(name, " ", "_"))
}

// search tries every history within a budget, breadth first: the first fault that it finds has the shortest history.
type search struct {
	envs  []*env
	world history

	mu     sync.Mutex
	seen   map[string]bool
	next   []state
	tried  int
	faults []string // of the first history that has any
}

// atATime is how many histories of a world happen at a time.
const atATime = 3

// TestSearch lets every history of few verbs happen: conversations of any kind, a command and events in any order, each with every
// fault at every moment, in two processes. Two conversations interleave where one of them sleeps. Histories that reach the same state
// are continued once.
func TestSearch(t *testing.T) {
	t.Parallel()
	for name, world := range map[string]history{
		"old keys are wrong PINs": { // one key moves, the account has a PIN
			Lost: inwebosim.LostFinalizeStrict, Ratchet: inwebosim.RatchetDK1, SecondRound: inwebosim.SecondRoundNever,
			ChecksPIN: true, HasPIN: true, Processes: 2,
		},
		"old keys are forbidden": { // all keys move, an OTP takes two rounds, and wrong PINs are counted of the device
			Lost: inwebosim.LostFinalizeForbidden, Ratchet: inwebosim.RatchetK0K1dK1, SecondRound: inwebosim.SecondRoundAlways,
			ChecksPIN: true, Processes: 2,
		},
		"no PIN is compared": { // and the device comes with its secret as its PIN opens it
			Lost: inwebosim.LostFinalizeForbidden, Ratchet: inwebosim.RatchetDK1, SecondRound: inwebosim.SecondRoundNever,
			ChecksPIN: false, KeepsSecval: true, Processes: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world.isDigested = true
			s := &search{world: world}
			for range atATime {
				e := newEnv(t, stores[0])
				defer e.close()
				s.envs = append(s.envs, e)
			}
			within := depths[*depth]
			if *budgeted != "" {
				within = make([]budget, 1)
				must(t, json.Unmarshal([]byte(*budgeted), &within[0]))
			}
			for _, b := range within {
				s.run(t, b)
			}
		})
	}
}

func (s *search) run(t *testing.T, within budget) {
	t.Helper()
	s.seen, s.tried = map[string]bool{}, 0
	states := []state{{left: within}}
	var levels []string // are logged last, so that a fault is the first thing that the test says
	defer func() { t.Log(strings.Join(levels, "\n")) }()
	for level := 1; len(states) > 0; level++ {
		s.next = nil
		s.expandAll(t.Name(), states)
		if len(s.faults) > 0 {
			t.Fatalf("after %d histories: %s", s.tried, strings.Join(s.faults, "\n"))
		}
		states = s.next
		levels = append(levels, fmt.Sprintf("%+v, %d ops: %d new states, %d in all, %d histories", within, level, len(states), len(s.seen), s.tried))
	}
}

// expandAll continues from states with everything that can happen, some at a time, until a history has a fault.
func (s *search) expandAll(name string, states []state) {
	began := time.Now()
	branches := make(chan branch)
	var all sync.WaitGroup
	for _, e := range s.envs {
		all.Go(func() {
			for b := range branches {
				s.follow(e, b)
			}
		})
	}
	const step = 100
	for i, from := range states {
		if i%step == step-1 && *depth > 1 {
			tried, seen := s.counts()
			fmt.Fprintf(os.Stderr, "%s: %d of %d states, %d histories, %d states in all, %v\n", name, i+1, len(states), tried, seen, time.Since(began).Round(time.Second))
		}
		for _, b := range from.branches() {
			branches <- b
		}
	}
	close(branches)
	all.Wait()
}

func (s *search) counts() (tried, seen int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried, len(s.seen)
}

// follow lets the op of a branch happen with each of its troubles in turn.
func (s *search) follow(e *env, b branch) {
	if len(b.troubles) == 0 {
		s.try(e, b.from, b.op)
	}
	for _, moment := range b.troubles {
		b.op.Troubles = []trouble{moment}
		if !s.try(e, b.from, b.op) { // the verb was over before, and so it is for all later moments
			return
		}
	}
}

// try lets one thing happen after a state, and reports whether its trouble befell it. A state that is new is probed.
func (s *search) try(e *env, from state, o op) (befell bool) {
	h := s.world
	h.Ops = append(slices.Clone(from.ops), o)
	var to *state
	h.isKnown = func(r result) bool {
		if len(o.Troubles) > 0 && !r.befell {
			return true
		}
		befell = true
		to = s.add(from.after(o, r))
		return to == nil
	}
	if s.let(e, h) && to != nil {
		s.let(e, s.probe(*to))
	}
	return befell
}

// add adds the state to those from which the search goes on, and returns it; nil if it was there before.
func (s *search) add(to state) *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[to.key()] {
		return nil
	}
	s.seen[to.key()] = true
	s.next = append(s.next, to)
	return &to
}

// let lets the history happen, unless another one had a fault before, and reports whether none had.
func (s *search) let(e *env, h history) bool {
	s.mu.Lock()
	isOver := len(s.faults) > 0
	s.mu.Unlock()
	if isOver {
		return false
	}
	r := e.let(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if len(s.faults) == 0 {
		s.faults = r.faults
	}
	return len(s.faults) == 0
}

// probe returns a history that asks for an OTP when any lease of the state has ended: the answer shows what has become of the device.
func (s *search) probe(at state) history {
	h := s.world
	call := op{Verb: "otp"}
	if at.asleep[0] {
		call.Process = 1
	}
	h.Ops = append(slices.Clone(at.ops), op{Verb: "time passes", Time: 20 * time.Second})
	if !at.asleep[call.Process] {
		h.Ops = append(h.Ops, call)
	}
	return h
}
