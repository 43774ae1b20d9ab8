package otp_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// event is a finalize that inWebo has judged.
type event struct {
	at              time.Time // by the store's clock
	wrong, accepted bool
	settled         int  // the moment at which some process stored what came of it; 0: none has
	old             bool // its guess is held back no more
}

// world is a device, its store and the processes on it, with what an observer of all of them knows. Its faults are what
// must not happen.
type world struct {
	t        *testing.T
	d        *device
	clock    *shifted
	replicas []*replica
	asleep   map[*replica]chan struct{} // processes that are stopped; the channel closes when their caller was answered
	// neverWrong: nothing in this world could make inWebo count a wrong PIN.
	neverWrong bool

	mu       sync.Mutex
	tally    inwebosim.Tally
	events   []*event
	wrongs   []*event    // since the last success
	issued   []time.Time // by the store's clock
	overlaps int         // setups that were given up
	moments  int         // holds and outcomes that were stored
	stops    int
	leapt    bool // the store's clock went back
	faults   []string
}

const processes = 3

func newWorld(t *testing.T, sim *inwebosim.Simulator, own inwebosim.Override) *world {
	d := plant(t, sim, own)
	w := &world{t: t, d: d, clock: &shifted{Store: d.memory}, asleep: map[*replica]chan struct{}{}}
	for range processes {
		w.replicas = append(w.replicas, newReplica(w))
	}
	return w
}

func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// expect notes what a mishap explains.
func (w *world) expect(exchange inwebo.Exchange, happens mishap) {
	setup := exchange == inwebo.ExchangeOTPSetup
	w.mu.Lock()
	defer w.mu.Unlock()
	if setup && (happens == answerLost || happens == nonsense) || !setup && (happens == neverSent || happens == requestLost) {
		w.overlaps++
	}
}

// finalized reads from the simulator's tally what became of the finalize that it has just judged, of the conversation that
// got its hold at that moment.
func (w *world) finalized(held int) *event {
	tally := w.d.truth(w.t).Tally
	e := &event{at: w.clock.now(), wrong: tally.WrongProofs > w.tally.WrongProofs, accepted: tally.Step > w.tally.Step}
	w.mu.Lock()
	w.events = append(w.events, e)
	if e.accepted {
		w.wrongs = nil
	}
	if e.wrong {
		w.wrongs = append(w.wrongs, e)
	}
	if tally.Issued > w.tally.Issued {
		w.issued = append(w.issued, e.at)
	}
	w.tally = tally
	excess := int(tally.WrongInARow) - w.unanswered(e.at, held) - limits().Guard.Attempts
	w.mu.Unlock()
	if excess > 0 {
		w.fault("inWebo counts %d wrong PINs in a row", tally.WrongInARow)
	}
	w.checkQuota()
	return e
}

// unanswered counts the wrong PINs since the last success whose answers were lost for longer than they are held back, as far
// as the guard could know at that moment: one that a sleeper stores after that comes too late.
func (w *world) unanswered(now time.Time, moment int) (count int) {
	for _, e := range w.wrongs {
		e.old = e.old || now.Sub(e.at) >= limits().Guard.Unanswered-time.Minute
		if e.old && (e.settled == 0 || e.settled > moment) {
			count++
		}
	}
	return count
}

// leapBack notes that the clock went back, if it did. What is from the future then counts as of now, as in a record.
func (w *world) leapBack(back bool) {
	if !back {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leapt = true
	for _, e := range w.wrongs {
		if now := w.clock.now(); e.at.After(now) {
			e.at = now
		}
	}
}

// moment gives the next one.
func (w *world) moment() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moments++
	return w.moments
}

// checkQuota looks at the last 24 hours, as inWebo counts them.
func (w *world) checkQuota() {
	w.mu.Lock()
	day := slices.DeleteFunc(slices.Clone(w.issued), func(at time.Time) bool { return w.clock.now().Sub(at) >= 24*time.Hour })
	leapt := w.leapt
	w.mu.Unlock()
	if len(day) > limits().OTPsPerDay && !leapt {
		w.fault("%d OTPs within 24 hours", len(day))
	}
}

func (w *world) settled(e *event) {
	moment := w.moment()
	w.mu.Lock()
	defer w.mu.Unlock()
	e.settled = moment
}

// issue asks for an OTP; one that is given verifies.
func (w *world) issue(r *replica, pin secret.Text) error {
	issued, err := r.service.IssueOTP(w.t.Context(), w.d.ask(), pin)
	if err == nil && pin == rightPIN && !w.d.sim.Verify(issued.OTP.Reveal()) {
		w.fault("an OTP does not verify")
	}
	if w.neverWrong && (errors.Is(err, otp.ErrPINLocked) || errors.Is(err, otp.ErrPINRefused)) {
		w.fault("a right PIN is told %v", err)
	}
	return err
}

// issueAlone is issue for a lone caller: a call that a guard refuses has changed nothing. It may have corrected stamps, once,
// after the clock went back.
func (w *world) issueAlone(r *replica, pin secret.Text) error {
	before, heard := w.d.row(w.t), w.d.truth(w.t).Requests
	err := w.issue(r, pin)
	switch cause := otp.CauseOf(err); cause { //nolint:errorlint // the outermost cause is the question
	case otp.ErrBusy, otp.ErrPINHeldBack, otp.ErrPINLocked, otp.ErrQuota, otp.ErrCircuitOpen:
		after := w.d.row(w.t)
		same := after.Revision == before.Revision && bytes.Equal(after.Body, before.Body)
		corrected := w.leapt && after.Revision == before.Revision+1
		if !same && !corrected || w.d.truth(w.t).Requests != heard {
			w.fault("a request that was refused as %v changed something", cause)
		}
	}
	return err
}

// obey waits as a caller was told, who then is not refused for the same reason.
func (w *world) obey(r *replica, err error) {
	var wait *otp.Wait
	if !errors.As(err, &wait) {
		return
	}
	if wait.For <= 0 {
		w.fault("a wait of %v for %v", wait.For, wait.Cause)
	}
	time.Sleep(wait.For)
	if again := w.issueAlone(r, rightPIN); errors.Is(again, wait.Cause) {
		w.fault("after %v: %v", err, again)
	}
}

// check holds what must be true whenever no call is under way but those of sleepers.
func (w *world) check() {
	r, truth := w.d.record(w.t), w.d.truth(w.t)
	if !w.d.inStep(w.t) && !r.InDoubt(w.clock.now()) && r.Hold == nil {
		w.fault("the device lags behind, and is not in doubt: %+v", r)
	}
	w.mu.Lock()
	counted, overlaps := int(truth.WrongInARow)-w.unanswered(w.clock.now(), w.moments), w.overlaps+w.stops
	w.mu.Unlock()
	if known := r.Guard.Wrong + len(r.Guard.Guesses); known < counted && !truth.Blocked {
		w.fault("inWebo counts %d wrong PINs, the guard knows of %d", counted, known)
	}
	if truth.MaxFinalizesPerChallenge > 1 {
		w.fault("a finalize was sent twice")
	}
	if int(truth.Overlaps) > overlaps {
		w.fault("%d conversations at once, and %d that were given up", truth.Overlaps, overlaps)
	}
}

// checkSteps holds the audit log against what inWebo accepted: a line for each attempt, steps one by one.
func (w *world) checkSteps() {
	audited, err := w.d.memory.AuditAfter(w.t.Context(), 0, 1<<20)
	must(w.t, err)
	var step uint64
	attempts := 0
	for _, line := range audited {
		if line.Step != step && line.Step != step+1 {
			w.fault("the step goes from %d to %d", step, line.Step)
		}
		step = line.Step
		if line.Stage == otp.StageAttempt {
			attempts++
		}
	}
	accepted := 0
	for _, e := range w.events {
		if e.accepted && e.settled > 0 {
			accepted++
		}
	}
	if int(step) > accepted || int(step) < accepted-w.stops {
		w.fault("the step is %d after %d accepted rounds", step, accepted)
	}
	if attempts < len(w.events)/2 { // a conversation has two rounds at most
		w.fault("%d attempts are in the audit log, and %d finalizes at inWebo", attempts, len(w.events))
	}
}
