package inwebosim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind names what a fault does.
type Kind string

// The faults. Those that spoil an answer let the request be processed first; those that simulate a
// machine in front of the service (html, status) and err do not. [Fault].Process turns that round.
const (
	// KindDelay only waits; it exposes a client without a time-out of its own.
	KindDelay Kind = "delay"
	// KindLostRequest closes the connection before the request is processed; it exposes a client that
	// takes every silence for a lost answer.
	KindLostRequest Kind = "lost-request"
	// KindLostAnswer processes and closes the connection; it exposes a client, or its HTTP library, that
	// sends a finalize again.
	KindLostAnswer Kind = "lost-answer"
	// KindCut closes the connection after Bytes of the HTTP answer; it exposes a client that uses half an answer.
	KindCut Kind = "cut"
	// KindTruncated ends the document after Bytes, the HTTP answer being whole; it exposes a parser that
	// is content with an unclosed element.
	KindTruncated Kind = "truncated"
	// KindOtherRoot sends a document of another root; it exposes a parser that looks for known names anywhere.
	KindOtherRoot Kind = "other-root"
	// KindEntityBomb declares a document type whose entities have 10 GB; it exposes a parser that expands entities.
	KindEntityBomb Kind = "entity-bomb"
	// KindEmpty sends status 200 without a body; it exposes a client that takes nothing for OK.
	KindEmpty Kind = "empty"
	// KindHTML sends a web page with status 200; it exposes a client that trusts the status.
	KindHTML Kind = "html"
	// KindStatus sends Status, with Location when set; it exposes a client that follows redirects or
	// reads the body of an error.
	KindStatus Kind = "status"
	// KindDrip sends Bytes of the body each Interval; it exposes a time-out that each byte renews.
	KindDrip Kind = "drip"
	// KindErr answers the literal Err; with Process set the answer keeps the fields of the accepted
	// request, a movement of the keys too. It exposes a client that ignores what a refusal carries.
	KindErr Kind = "err"
	// KindSynchroFailed answers NOK:SYNCHROFAILED to an operation that was done, and none of its fields; an operation
	// that is refused keeps its refusal. It exposes a client that takes this err for one.
	KindSynchroFailed Kind = "synchro-failed"
	// KindExtra adds Fields, or one unknown element when there are none, and leaves out those named in
	// Drop; it exposes a client that refuses what it does not know or misses nothing.
	KindExtra Kind = "extra"
	// KindForm writes or sends the answer in the odd form that Form names; it exposes a client that reads
	// answers in the form alone that it has seen so far.
	KindForm Kind = "form"
)

func kinds() []Kind {
	return []Kind{
		KindDelay, KindLostRequest, KindLostAnswer, KindCut, KindTruncated, KindOtherRoot,
		KindEntityBomb, KindEmpty, KindHTML,
		KindStatus, KindDrip, KindErr, KindSynchroFailed, KindExtra, KindForm,
	}
}

// Match selects requests; an empty field matches any.
type Match struct {
	Action string `json:"action,omitempty"`
	Mode   string `json:"mode,omitempty"`
	ID     string `json:"id,omitempty"` // the device's
}

func (m Match) fits(x *Exchange) bool {
	fits := func(want, got string) bool { return want == "" || want == got }
	return fits(m.Action, x.Action) && fits(m.Mode, x.Mode) && fits(m.ID, x.ID)
}

// Fault is one thing that goes wrong. Of several that match a request the first planted strikes, alone.
type Fault struct {
	Kind Kind `json:"kind"`
	Match
	// Skip lets that many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how often it strikes: 0 represents once, or with Chance for ever; negative for ever.
	Times int `json:"times,omitempty"`
	// Chance is the probability of striking a matching request, seeded; 0 strikes surely.
	Chance float64 `json:"chance,omitempty"`
	// Delay waits before the request is processed, Hold between that and the answer; with any kind. A
	// client that goes away meanwhile does not undo the request.
	Delay Duration `json:"delay,omitzero"`
	Hold  Duration `json:"hold,omitzero"`
	// Process says whether the request is processed; nil leaves it to the kind. The answer to a request that
	// is not has no fields but those of the fault.
	Process *bool `json:"process,omitempty"`
	// Bytes is how much to send before the cut, of the document before its end, or at each drip; negative
	// counts from the end. A KindTruncated at 0 ends in the middle.
	Bytes    int      `json:"bytes,omitempty"`
	Interval Duration `json:"interval,omitzero"`
	Status   int      `json:"status,omitempty"`
	Location string   `json:"location,omitempty"`
	Err      string   `json:"err,omitempty"`
	Fields   []Field  `json:"fields,omitempty"`
	Drop     []string `json:"drop,omitempty"`
	Form     Form     `json:"form,omitempty"`

	number int   // given when it is planted: what its chance is drawn by
	odd    *form // found when it is planted; nil unless the kind is KindForm
}

// validate reports every fault.
func (n Fault) validate() error {
	var faults []error
	refuse := func(bad bool, fault string) {
		if bad {
			faults = append(faults, errors.New(fault))
		}
	}
	faults = append(faults, oneOf("kind", n.Kind, kinds()))
	refuse(n.Skip < 0, "skip must not be negative")
	refuse(n.Chance < 0 || n.Chance > 1, "chance must be 0 to 1")
	refuse(n.Delay < 0 || n.Hold < 0, "delay and hold must not be negative")
	refuse(n.Kind == KindStatus && (n.Status < 200 || n.Status > 599), "status needs a final HTTP status, 200 to 599")
	refuse(n.Kind == KindErr && n.Err == "", "err needs the literal err to answer")
	refuse(n.Kind == KindDrip && (n.Bytes < 1 || n.Interval <= 0), "drip needs positive bytes and interval")
	refuse(n.Kind == KindLostRequest && n.Process != nil && *n.Process, "a lost-request is not processed: use lost-answer")
	if n.Kind == KindForm {
		_, err := findForm(n.Form)
		faults = append(faults, err)
	}
	for _, f := range n.Fields {
		refuse(f.Name == "" || strings.ContainsAny(f.Name, "<>&/ "), fmt.Sprintf("field name %q is no XML name", f.Name))
	}
	return errors.Join(faults...)
}

// processes reports whether a request with the fault is processed.
func (n *Fault) processes() bool {
	if n.Process != nil {
		return *n.Process
	}
	return !slices.Contains([]Kind{KindLostRequest, KindHTML, KindStatus, KindErr}, n.Kind)
}

// faultList has the faults that are planted and not used up.
type faultList struct {
	seed    uint64
	count   atomic.Int32 // len(planted), to pass by quickly
	mu      sync.Mutex
	planted []Fault
	last    int // number given
}

func (ns *faultList) plant(add []Fault) error {
	for i, n := range add {
		if err := n.validate(); err != nil {
			return fmt.Errorf("fault %d: %w", i, err)
		}
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, n := range add {
		if n.Times == 0 {
			n.Times = 1
			if n.Chance > 0 {
				n.Times = -1
			}
		}
		if f, err := findForm(n.Form); n.Kind == KindForm && err == nil {
			n.odd = &f
		}
		ns.last++
		n.number = ns.last
		ns.planted = append(ns.planted, n)
	}
	ns.count.Store(int32(len(ns.planted)))
	return nil
}

func (ns *faultList) list() []Fault {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return append([]Fault{}, ns.planted...)
}

func (ns *faultList) clear() {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.planted = nil
	ns.count.Store(0)
}

// inject returns the fault of a request, and counts it; the zero Fault means none. The turn is the request's
// number among its device's, so that chance is the same in a replay, whatever else goes on.
func (ns *faultList) inject(x *Exchange, turn uint64) Fault {
	if ns.count.Load() == 0 {
		return Fault{}
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for i := range ns.planted {
		n := &ns.planted[i]
		if !n.fits(x) || n.Chance > 0 && !ns.isDrawn(n, x.ID, turn) {
			continue
		}
		if n.Skip > 0 {
			n.Skip--
			continue
		}
		struck := *n
		if n.Times > 0 {
			if n.Times--; n.Times == 0 {
				ns.planted = slices.Delete(ns.planted, i, i+1)
				ns.count.Store(int32(len(ns.planted)))
			}
		}
		return struck
	}
	return Fault{}
}

func (ns *faultList) isDrawn(n *Fault, id string, turn uint64) bool {
	name := strconv.Itoa(n.number) + ";" + id + ";" + strconv.FormatUint(turn, 10)
	sum := digest(ns.seed, "chance", name)
	return float64(binary.BigEndian.Uint64(sum[:8])>>11)/(1<<53) < n.Chance
}
