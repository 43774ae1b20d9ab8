package historytest

import (
	"encoding/json"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// history is what happens to an account, and at what an inWebo.
type history struct {
	Lost        inwebosim.LostFinalize
	Ratchet     inwebosim.Ratchet
	SecondRound inwebosim.SecondRound
	// ChecksPIN is whether inWebo compares the PIN in a proof.
	ChecksPIN bool
	// RefusalsMove is whether a refusal of a PIN carries a step of the ratchet.
	RefusalsMove bool
	// HasPIN: the account has a PIN at inWebo, and an enrollment with another one is refused. Otherwise a second account of
	// pimsd may take over the device.
	HasPIN bool
	// KeepsSecval: the other client, from which a device is taken over, does not have its secret in the clear. No random history has that.
	KeepsSecval bool
	// Enrolls: the device is enrolled here, and otherwise taken over from another client.
	Enrolls   bool
	Processes int
	Late      bool // the store never returns early from a lease
	Ops       []op

	isDigested bool // its result has a digest
	// isKnown reports whether what the last op leads to was reached before: then the history ends there. nil: it was not.
	isKnown func(result) bool
}

// op is one thing that happens.
type op struct {
	Verb     string
	Process  int
	Account  int           // 1: the one that takes over devices
	WrongPIN bool          `json:",omitempty"`
	Other    bool          `json:",omitempty"` // the verb's other form
	Number   int           `json:",omitempty"` // of a key, or counted back, of a row or a device
	Crowd    []bool        `json:",omitempty"` // PINs of several callers: true is right
	Time     time.Duration `json:",omitempty"` // that passes, or by which the clock jumps
	Troubles []trouble     `json:",omitempty"`
}

func (o op) isRight() bool { return !o.WrongPIN && !slices.Contains(o.Crowd, false) }

// atItsAccount returns the op with the account that it is done to: each enrollment is of the first one.
func (o op) atItsAccount() op {
	if o.Verb == "enroll" {
		o.Account = 0
	}
	return o
}

func (h history) String() string {
	text, err := json.Marshal(h)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func drawHistory(t *rapid.T, store string) history {
	h := history{
		Lost: rapid.SampledFrom([]inwebosim.LostFinalize{
			inwebosim.LostFinalizeStrict, inwebosim.LostFinalizeForbidden, inwebosim.LostFinalizeLenient,
		}).Draw(t, "lost finalize"),
		Ratchet: rapid.SampledFrom([]inwebosim.Ratchet{
			inwebosim.RatchetDK1, inwebosim.RatchetK1, inwebosim.RatchetK0K1, inwebosim.RatchetK0K1dK1, inwebosim.RatchetNone,
		}).Draw(t, "movement"),
		SecondRound: rapid.SampledFrom([]inwebosim.SecondRound{
			inwebosim.SecondRoundNever, inwebosim.SecondRoundNever, inwebosim.SecondRoundEveryOther, inwebosim.SecondRoundAlways,
		}).Draw(t, "second round"),
		ChecksPIN:    rapid.IntRange(0, 3).Draw(t, "checks PIN") > 0,
		RefusalsMove: rapid.IntRange(0, 3).Draw(t, "refusals move") == 0,
		HasPIN:       rapid.Bool().Draw(t, "has PIN"),
		Enrolls:      rapid.Bool().Draw(t, "enrolls"),
		Processes:    rapid.IntRange(1, 2).Draw(t, "processes"),
		Late:         rapid.Bool().Draw(t, "late"),
	}
	h.Ops = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op { return h.drawOp(t, store) }), 1, 16).Draw(t, "ops")
	if !h.HasPIN && rapid.IntRange(0, 3).Draw(t, "with a move") == 0 {
		h.Ops = append(h.Ops, h.drawMove(t, store)...)
	}
	if h.Processes > 1 && rapid.Bool().Draw(t, "with a sleeper") {
		h.Ops = append(h.Ops, h.drawSleep(t, store)...)
	}
	return h
}

// drawSleep draws a process that sleeps while the row that it has leased is replaced, perhaps, and others go on. Among verbs that
// are drawn one by one, too few of these meet.
func (h history) drawSleep(t *rapid.T, store string) []op {
	asleep := op{
		Verb: rapid.SampledFrom([]string{"otp", "otp", "enroll", "repeat"}).Draw(t, "asleep"), WrongPIN: rapid.Bool().Draw(t, "wrong PIN"), Other: true,
		Troubles: []trouble{{Fault: sleep, At: rapid.IntRange(3, 14).Draw(t, "at")}},
	}
	if rapid.IntRange(0, 3).Draw(t, "under the same revision") == 0 {
		return h.drawSameRevision(asleep)
	}
	ops := []op{asleep}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		between := op{
			Verb:   rapid.SampledFrom([]string{"restore row", "delete row", "time passes"}).Draw(t, "between"),
			Number: rapid.IntRange(0, 3).Draw(t, "number"), Time: 20 * time.Second,
		}
		ops = append(ops, between)
		for range rapid.IntRange(0, 3).Draw(t, "others") {
			other := h.drawOp(t, store)
			other.Process = 1
			ops = append(ops, other)
		}
	}
	return append(ops, op{Verb: "wake"}, op{Verb: "otp"})
}

// drawSameRevision draws a row that is restored while a process sleeps in a conversation, and then gets the revision that the process
// has left, with a wrong PIN that must go on to count.
func (h history) drawSameRevision(asleep op) []op {
	asleep.Verb = "otp"
	return []op{
		{Verb: "doubt"}, asleep, {Verb: "restore row", Number: 2}, // the row from before the doubt
		{Verb: "otp", Process: 1, WrongPIN: true}, {Verb: "wake"}, {Verb: "otp"},
	}
}

// drawMove draws a device that goes from one account to the other after wrong PINs. Among verbs that are drawn one by one, too few of
// these meet.
func (h history) drawMove(t *rapid.T, store string) []op {
	ops := []op{{Verb: "enroll"}, {Verb: "otp", WrongPIN: true}}
	for range rapid.IntRange(0, 2).Draw(t, "others") {
		ops = append(ops, h.drawOp(t, store))
	}
	return append(ops, op{Verb: "forget"}, op{Verb: "import", Account: 1}, op{Verb: "otp", Account: 1, WrongPIN: rapid.Bool().Draw(t, "wrong PIN")})
}

func (h history) drawOp(t *rapid.T, store string) op {
	o := op{
		Verb:     rapid.SampledFrom(weighed).Draw(t, "verb"),
		Process:  rapid.IntRange(0, h.Processes-1).Draw(t, "process"),
		WrongPIN: rapid.IntRange(0, 3).Draw(t, "wrong PIN") == 3,
		Other:    rapid.Bool().Draw(t, "other"),
		Number:   rapid.IntRange(0, 3).Draw(t, "number"),
	}
	if !h.HasPIN && rapid.IntRange(0, 3).Draw(t, "account") == 3 {
		o.Account = 1
	}
	v := verbOf(o.Verb)
	if v.draw != nil {
		v.draw(t, &o)
	}
	if !v.isIdle {
		o.Troubles = drawTroubles(t, store)
	}
	return o
}

// Whatever happens on whatever store: no OTP is given that does not verify, no step that inWebo has seen acknowledged is lost,
// none is lost without a doubt, inWebo never counts a wrong PIN too many, a right PIN is never told to be wrong, and in the end
// the account is recovered by what the documents say.
func TestHistories(t *testing.T) {
	t.Parallel()
	for _, kind := range stores {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			check(t, kind, drawHistory)
		})
	}
}

// However inWebo flaps, right PINs alone never lock an account: not while its keys stay, and not when they move and inWebo
// forbids the old ones, as it has been seen to. Where it counts old keys as wrong PINs, two answers lost in a row must lock.
func TestRightPINsNeverLock(t *testing.T) {
	t.Parallel()
	check(t, stores[0], func(t *rapid.T, store string) history {
		h := drawHistory(t, store)
		if h.Lost != inwebosim.LostFinalizeForbidden {
			h.Ratchet, h.RefusalsMove = inwebosim.RatchetNone, false
		}
		h.Ops = slices.DeleteFunc(h.Ops, func(o op) bool { return verbOf(o.Verb).forgets })
		for i := range h.Ops {
			h.Ops[i].WrongPIN = false
			for j := range h.Ops[i].Crowd {
				h.Ops[i].Crowd[j] = true
			}
		}
		return h
	})
}

// newEnv opens one store of the kind.
func newEnv(t *testing.T, kind kind) *env {
	t.Helper()
	e := &env{
		site: newSite(t), kind: kind, open: kind.prepare(t), keyFile: filepath.Join(t.TempDir(), "seal.keys"),
		histories: make(chan history), results: make(chan result), ended: make(chan struct{}),
	}
	go e.live(t)
	return e
}

func (e *env) close() {
	close(e.histories)
	<-e.ended
}

// check lets histories happen on one store of the kind, one after the other, each to accounts of its own.
func check(t *testing.T, kind kind, draw func(*rapid.T, string) history) {
	t.Helper()
	e := newEnv(t, kind)
	defer e.close()
	if *replayed == "" {
		rapid.Check(t, func(rt *rapid.T) { e.mustHappen(rt, draw(rt, kind.name)) })
		return
	}
	var h history
	must(t, json.Unmarshal([]byte(*replayed), &h))
	e.mustHappen(t, h)
}

// replayed is a history that a test has printed.
var replayed = flag.String("history", "", "let this history happen, in JSON, instead of random ones")

// live lets histories happen in one bubble, because it takes long to open some stores. The channels are not of the bubble: its
// time stands still while it waits for the next history.
func (e *env) live(t *testing.T) {
	defer close(e.ended)
	synctest.Test(t, func(t *testing.T) {
		store := e.open(t)
		for h := range e.histories {
			e.results <- newHarness(t, e, store, h).live()
		}
	})
}

// mustHappen lets one history happen, without a fault.
func (e *env) mustHappen(t rapid.TB, h history) {
	if r := e.let(h); len(r.faults) > 0 {
		t.Fatal(strings.Join(r.faults, "\n"))
	}
}

// let lets one history happen.
func (e *env) let(h history) result {
	select {
	case e.histories <- h:
		select {
		case r := <-e.results:
			return r
		case <-e.ended:
		}
	case <-e.ended:
	}
	return result{faults: []string{"the store has ended"}}
}

// result is what became of a history.
type result struct {
	faults []string
	digest string  // of the state after its last op; empty unless the history asks for it
	befell bool    // the last op met a trouble
	asleep [2]bool // the processes, after the last op
}

// live lets the history happen.
func (h *harness) live() (r result) {
	h.begin()
	for i, o := range h.Ops {
		h.troubles.Store(0)
		h.happen(o)
		h.check()
		if len(h.faults) > 0 {
			h.fault("that was after op %d: %+v", i, o)
			break
		}
	}
	r.befell = h.troubles.Load() > 0
	for i, p := range h.processes {
		r.asleep[i] = h.sleeps(p)
	}
	if h.isDigested && len(h.faults) == 0 {
		r.digest = h.digest()
	}
	h.end(h.isKnown != nil && len(h.faults) == 0 && h.isKnown(r))
	if len(h.faults) > 0 {
		h.fault("to let it happen again: -history '%v'", h.history)
	}
	r.faults = h.faults
	return r
}
