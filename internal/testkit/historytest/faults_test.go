package historytest

import (
	"errors"
	"slices"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// faultSite is what a fault befalls: the number of a trouble counts those.
type faultSite string

const (
	exchanges faultSite = "exchange with inWebo"
	reads     faultSite = "read of the store"
	writes    faultSite = "write to the store"
	steps     faultSite = "step: before and after each exchange, read and write"
)

// fault is one thing that goes wrong while a verb is under way.
type fault struct {
	name  string
	place faultSite

	simFault inwebosim.Fault // of an exchange, at inWebo
	hasForm  bool            // the fault has one of inwebosim.OddForms
	ofSetup  bool            // it befalls setups, and no finalize; TestSearch alone tries it
	store    storetest.Fault // of a read or a write
	only     string          // the one store that it can befall; empty: each
}

// The faults that are done by the process itself; see process.
const (
	neverSent  = "never sent"
	late       = "late answer"            // that comes when its process has given up waiting
	older      = "answer for a newer one" // which this process cannot read, and the next one can
	crash      = "crash"
	sleep      = "sleep" // as a machine that is suspended; its lease is over before it wakes
	appliedOn  = "write applied later"
	fullDisk   = "full disk"
	anOddForm  = "odd form"
	sqliteName = "SQLite"
)

var (
	errStoreFault = errors.New("the disk made a noise")
	errDead       = errors.New("the process is dead")
)

// faults are all of them, but for two: the jumps of the store's clock are a verb, because they need no other verb to be
// under way, and a corrupt page is the condition of a store; see stores.
var faults = []fault{
	{name: neverSent, place: exchanges},
	{name: "lost request", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindLostRequest}},
	{name: "lost answer", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindLostAnswer}},
	{name: late, place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindLostAnswer}},
	{name: older, place: exchanges},
	{name: anOddForm, place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindForm}, hasForm: true},
	{name: "done, and no field of it", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindSynchroFailed}},
	{name: "web page", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindHTML, Process: &done}},
	{name: "status 503", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindStatus, Status: 503, Process: &done}},
	{name: "refusal", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:TIMEOUT"}},
	{name: "setup refused", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:ACCESS"}, ofSetup: true},
	{name: "setup blocked", place: exchanges, simFault: inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:NOK_BLOCKED"}, ofSetup: true},

	{name: "read fails", place: reads, store: storetest.Fault{Err: errStoreFault}},
	{name: "write fails before it is applied", place: writes, store: storetest.Fault{Err: errStoreFault}},
	{name: "write fails after it was applied", place: writes, store: storetest.Fault{Err: errStoreFault, Applied: true}},
	{name: appliedOn, place: writes},
	{name: "write is refused", place: writes, store: storetest.Fault{Err: otp.ErrNotApplied}}, // PostgreSQL's full disk is one
	{name: "store is broken", place: writes, store: storetest.Fault{Err: otp.ErrBroken}},
	{name: fullDisk, place: writes, only: sqliteName},

	{name: crash, place: steps},
	{name: sleep, place: steps},
}

var done = true

// trouble is a fault at one moment.
type trouble struct {
	Fault string
	At    int            // counted from 1 from the beginning of the verb
	Form  inwebosim.Form `json:",omitempty"`
}

// drawTroubles draws what goes wrong while a verb is under way on the store of that name: mostly nothing.
func drawTroubles(t *rapid.T, store string) (troubles []trouble) {
	possible := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.ofSetup || f.only != "" && f.only != store })
	odd := inwebosim.OddForms()
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, 4}).Draw(t, "troubles") {
		f := rapid.SampledFrom(possible).Draw(t, "fault")
		last := map[faultSite]int{exchanges: 4, reads: 3, writes: 5, steps: 16}[f.place]
		trouble := trouble{Fault: f.name, At: rapid.IntRange(1, last).Draw(t, "at")}
		if f.hasForm {
			trouble.Form = rapid.SampledFrom(odd).Draw(t, "form").Name
		}
		troubles = append(troubles, trouble)
	}
	return troubles
}

// find returns what the first trouble does that befalls the nth of the place.
func find(troubles []trouble, at faultSite, n int) (fault, bool) {
	for _, trouble := range troubles {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == trouble.Fault })
		if f := faults[i]; f.place == at && trouble.At == n {
			f.simFault.Form = trouble.Form
			return f, true
		}
	}
	return fault{}, false
}
