package historytest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// checker is what an observer of inWebo, store and processes knows.
type checker struct {
	ahead  atomic.Int64 // nanoseconds by which the store's clock is ahead of the machine's
	passed atomic.Int64 // nanoseconds that have passed in the processes, but not by the machine's clock

	mu        sync.Mutex
	wrongs    map[string][]*event // wrong proofs since the last success, by the name of what inWebo counts
	counted   map[string]count    // as last seen
	issued    map[string]uint32   // OTPs of each device, as last seen
	issuedAt  map[string][]time.Time
	explained int                  // setups that may have been given up
	finalizes int                  // that inWebo has processed
	moments   int                  // leases and outcomes that were stored
	leapt     bool                 // the store's clock went back
	lags      bool                 // a step that inWebo has seen acknowledged may not be stored: its process has died, for example
	isSilent  map[otp.Account]bool // the account's row was replaced, and may lag behind without a doubt
	wasSilent bool
	calls     map[string]*repeated
	inStepAt  map[string]inwebosim.DeviceState // the keys of a device when the store last had them, by an import or an answer
	// isForgotten and isDisabled are what an operator has done last, and the service has said to be done.
	isForgotten, isDisabled map[otp.Account]bool
	hasMoved                map[otp.Account]bool // an accepted answer was stored after the row was deleted
	faults                  []string
}

// event is a finalize that inWebo has judged.
type event struct {
	at        time.Time // by the store's clock
	here      time.Time // by the time of the processes
	settled   int       // the moment at which some process stored what came of it; 0: none has
	isOld     bool      // its guess is held back no more
	isExcused bool      // the store was made to forget it
	// isAccepted: inWebo has given an OTP for it, and so the device has moved.
	isAccepted bool
	// isStep: it is that, or inWebo has given the device new keys.
	isStep bool
}

// fault notes what must not happen.
func (j *checker) fault(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// explain notes troubles: a conversation gives up a setup for each at most.
func (j *checker) explain(setups int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.explained += setups
}

func (j *checker) mayLag() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lags = true
}

// moment returns the next one.
func (j *checker) moment() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.moments++
	return j.moments
}

func (j *checker) settled(e *event, moment int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.settled = moment
}

// beginSilence notes that inWebo has given new keys to a device that the account had, and others may have.
func (h *harness) beginSilence(account otp.Account) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, other := range h.accounts {
		if other != account {
			h.isSilent[other] = true
		}
	}
}

// endSilence notes that an accepted answer was stored in a row that knew nothing of its conversation: the device that stays there is in
// step or in doubt.
func (j *checker) endSilence(account otp.Account) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.isSilent[account] = false
}

// moved notes that an accepted answer was stored whose row had been deleted: the device is there again.
func (j *checker) moved(account otp.Account) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hasMoved[account] = true
}

func (j *checker) forgetIssued() {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.issuedAt)
}

// leapBack notes that the clock went back, if it did. What is from the future then counts as of now, as in a record.
func (h *harness) leapBack(back bool) {
	if !back {
		return
	}
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leapt = true
	for _, e := range h.allWrongs() {
		if e.at.After(now) {
			e.at = now
		}
	}
}

// allWrongs returns the wrong proofs since the last success. The caller must hold h.mu.
func (h *harness) allWrongs() []*event {
	return slices.Concat(slices.Collect(maps.Values(h.wrongs))...)
}

// forgetWhatIsKnown notes that the account's row is replaced: what was counted in it may be lost, and steps of the ratchet, of
// which nothing in the store tells.
func (h *harness) forgetWhatIsKnown(account otp.Account) {
	h.forgetIssued()
	for p := range h.asleep {
		p.lose()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isSilent[account], h.wasSilent, h.lags = true, true, true
	delete(h.isForgotten, account)
	delete(h.isDisabled, account)
	delete(h.hasMoved, account)
	for _, e := range h.allWrongs() {
		e.isExcused = true
	}
}

// finalized notes what became of a finalize that inWebo has just processed for the process.
func (p *process) finalized() *event {
	p.mu.Lock()
	e, leased := &event{at: p.h.now(), here: p.h.processNow(), isExcused: p.isLost}, p.leased
	p.mu.Unlock()
	p.h.recount(e)
	p.h.judgeCounts(leased)
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.h.finalizes++
	return e
}

// recount looks at inWebo's counts. A wrong proof that was not there before is e's.
func (h *harness) recount(e *event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, now := range h.site.counts(h.login, h.HasPIN) {
		if now.inARow == 0 {
			h.wrongs[name] = nil
		}
		if e != nil && now.wrong > h.counted[name].wrong {
			h.wrongs[name] = append(h.wrongs[name], e)
		}
		h.counted[name] = now
	}
	for _, id := range h.site.DeviceIDs() {
		issued := h.site.expected(id).Issued
		if e != nil && issued > h.issued[id] {
			h.issuedAt[id] = append(h.issuedAt[id], e.at)
		}
		h.issued[id] = issued
	}
}

// judgeCounts wants that inWebo counts no more wrong proofs than the guard forwards, and no more OTPs than the quota, for all
// that a conversation could know that got its lease at that moment.
func (h *harness) judgeCounts(leased int) {
	h.mu.Lock()
	var faults []string
	for name, seen := range h.counted {
		if excess := seen.inARow - h.unknown(name, leased) - limits().Guard.Attempts; excess > 0 {
			faults = append(faults, fmt.Sprintf("inWebo counts %d wrong PINs in a row", seen.inARow))
		}
	}
	for _, issued := range h.issuedAt {
		day := 0
		for _, at := range issued {
			if h.now().Sub(at) < 24*time.Hour {
				day++
			}
		}
		if day > limits().OTPsPerDay && !h.leapt {
			faults = append(faults, fmt.Sprintf("%d OTPs within 24 hours", day))
		}
	}
	h.mu.Unlock()
	for _, fault := range faults {
		h.fault("%s", fault)
	}
}

// unknown counts the wrong proofs that the guard cannot know of: the store was made to forget them, or their answers were lost
// for longer than they are held back, as far as was known at that moment. The caller must hold h.mu.
func (h *harness) unknown(name string, moment int) (count int) {
	for _, e := range h.wrongs[name] {
		age := h.now().Sub(e.at)
		if h.isWatched() {
			age = min(age, h.processNow().Sub(e.here))
		}
		e.isOld = e.isOld || age >= limits().Guard.Unanswered-time.Minute
		if e.isExcused || e.isOld && (e.settled == 0 || e.settled > moment) {
			count++
		}
	}
	return count
}

// isWatched reports whether one process alone sees the store's clock, which never goes back: it notices each jump.
func (h *harness) isWatched() bool {
	return !slices.ContainsFunc(h.Ops, func(o op) bool {
		return o.Process != 0 || o.Crowd != nil || o.isFatal() || o.Verb == "clock jumps" && o.Time < 0
	})
}

// judgeError wants that an error of the process has a cause, and that a right PIN is never told to be wrong.
func (h *harness) judgeError(p *process, o op, isRight bool, err error) {
	if err == nil || p.lost() { // what another conversation has changed in between, it could not see
		return
	}
	h.judgeWait(p, o, err)
	h.judgeReason(err)
	cause := otp.CauseOf(err)
	h.mu.Lock()
	isSilent := h.isSilent[h.accounts[o.Account]]
	h.mu.Unlock()
	switch {
	case cause == nil:
		h.fault("%s: an error without a cause: %v", o.Verb, err)
	case isRight && cause == otp.ErrPINRefused && !isSilent:
		h.fault("%s: a right PIN is told %v", o.Verb, err)
	case h.neverWrong() && (cause == otp.ErrPINLocked || cause == otp.ErrPINRefused):
		h.fault("%s: nothing could be counted as a wrong PIN, and the caller is told %v", o.Verb, err)
	}
}

// neverWrong reports whether nothing in the history can make inWebo count a wrong PIN.
func (h history) neverWrong() bool {
	countsOldKeys := h.Ratchet != inwebosim.RatchetNone && h.Lost != inwebosim.LostFinalizeForbidden
	return !countsOldKeys && !slices.ContainsFunc(h.Ops, func(o op) bool { return !o.isRight() || verbOf(o.Verb).forgets })
}

// keysOf are the keys of a state of the device, opened with the right PIN.
func keysOf(r otp.Record, state ratchet.State) ratchet.Keys {
	return state.Open(ratchet.NewKma(rightPIN, r.Serial))
}

// hasStep reports whether no step is lost that inWebo has seen acknowledged: the device has it, or its other state has. An import,
// or an answer of odd form, may bring a state that is newer than the last answer that was acknowledged, and lasts until the next one is.
func hasStep(r otp.Record, expected, inStepAt inwebosim.DeviceState) bool {
	isCurrent := inStepAt.AcknowledgedK0 == expected.AcknowledgedK0 && inStepAt.AcknowledgedK1 == expected.AcknowledgedK1
	has := func(state ratchet.State) bool {
		k0, k1 := keysOf(r, state).K0.Reveal(), keysOf(r, state).K1.Reveal()
		return expected.HasStep(k0, k1) || isCurrent && k0 == inStepAt.K0 && k1 == inStepAt.K1
	}
	return has(r.Device.State) || r.Device.Fallback != nil && has(r.Device.Fallback.State)
}

// keysIn returns what inWebo knows of a device, with its keys alone.
func keysIn(state inwebosim.DeviceState) inwebosim.DeviceState {
	return inwebosim.DeviceState{
		Device:         inwebosim.Device{K0: state.K0, K1: state.K1},
		AcknowledgedK0: state.AcknowledgedK0, AcknowledgedK1: state.AcknowledgedK1,
	}
}

// inStep reports whether what is stored of the device is what inWebo has.
func (h *harness) inStep(r otp.Record) bool {
	keys, expected := keysOf(r, r.Device.State), h.site.expected(r.Device.Identity.ID)
	return keys.K0.Reveal() == expected.K0 && keys.K1.Reveal() == expected.K1
}

// check holds what must be true whenever nothing is under way but what sleeps.
func (h *harness) check() {
	allInStep := true
	overlaps := 0
	for _, account := range h.accounts {
		r, found := h.record(account)
		h.checkRecord(account, r)
		if !found || r.Device == nil {
			h.isSilent[account] = h.isSilent[account] && h.anySleeps() // a sleeper may yet finish the enrollment that a restored row has
			continue
		}
		h.checkDevice(account, r)
		allInStep = allInStep && h.inStep(r)
	}
	for _, id := range h.site.DeviceIDs() {
		expected := h.site.expected(id)
		overlaps += int(expected.Overlaps)
		if expected.MaxFinalizesPerChallenge > 1 && !h.wasSilent { // without its row, a conversation does not keep others out
			h.fault("a finalize was sent twice")
		}
	}
	if overlaps > h.explained {
		h.fault("%d conversations at once, and %d that may have been given up", overlaps, h.explained)
	}
	h.lags = h.lags && (!allInStep || h.anySleeps())
	h.checkPlaces()
}

func (h *harness) checkDevice(account otp.Account, r otp.Record) {
	id := r.Device.Identity.ID
	expected, err := h.site.DeviceState(id)
	if err != nil {
		h.fault("the device is %q, which inWebo does not know", id)
		return
	}
	switch isBehind := !h.inStep(r); {
	case !isBehind:
		h.inStepAt[id] = keysIn(expected)
		h.isSilent[account] = h.isSilent[account] && h.anySleeps() // a sleeper may yet move the device that a restored row has
	case !r.InDoubt(h.now()) && r.Lease == nil && !h.isSilent[account]:
		h.fault("the device lags behind, and is not in doubt: %+v", r)
	case !hasStep(r, expected, h.inStepAt[id]) && !h.lags && !h.anySleeps():
		h.fault("a step is lost that inWebo has seen acknowledged: %+v", r)
	}
	name := id
	if h.HasPIN {
		name = h.login
	}
	h.mu.Lock()
	counted := h.counted[name].inARow - h.unknown(name, h.moments)
	h.mu.Unlock()
	if known := r.Guard.Wrong + len(r.Guard.Attempts); known < counted && !expected.Blocked {
		h.fault("inWebo counts %d wrong PINs, the guard knows of %d", counted, known)
	}
}

// checkPlaces wants that no two accounts have one device.
func (h *harness) checkPlaces() {
	first, _ := h.record(h.accounts[0])
	second, _ := h.record(h.accounts[1])
	if first.Device != nil && second.Device != nil && first.Serial == second.Serial {
		h.fault("two accounts have the device %s", first.Serial)
	}
}
