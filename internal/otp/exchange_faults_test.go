package otp_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// fate is how far a faulty exchange came, as the client can know.
type result string

const (
	notSent  result = "not sent"
	noAnswer result = "lost" // sent, and no answer that can be used
	refused  result = "refused"
	done     result = "done" // inWebo did what was asked, and said that it did not synchronize
)

// exchangeFault is what goes wrong with one exchange.
type exchangeFault struct {
	name     string
	result   result
	cause    error
	simFault inwebosim.Fault
	// accepted: inWebo took the request and moved on, and the client does not know it.
	accepted bool
	// retried: a setup that fails so is tried again.
	retried bool
	// counts: inWebo counts it as a wrong PIN.
	counts bool
	// mayCount: nothing says whether inWebo counts it as a wrong PIN.
	mayCount bool
	client   func(*testing.T) otp.Inwebo // where it goes, when not to the simulator as usual
}

const queueUntil = 700 * time.Millisecond // of a client whose answer does not come

func silences(sim *inwebosim.Simulator) []exchangeFault {
	kind := func(k inwebosim.Kind) inwebosim.Fault { return inwebosim.Fault{Kind: k} }
	status := func(code int) inwebosim.Fault { return inwebosim.Fault{Kind: inwebosim.KindStatus, Status: code} }
	dead := func(t *testing.T) otp.Inwebo { return wire(t, unreachable, time.Minute) }
	impatient := func(t *testing.T) otp.Inwebo { return wire(t, sim.ProtocolURL(), queueUntil) }
	return []exchangeFault{
		{name: "never sent", result: notSent, cause: otp.ErrUnreachable, client: dead},
		{name: "request lost", result: noAnswer, cause: otp.ErrUnreachable, simFault: kind(inwebosim.KindLostRequest), retried: true},
		{name: "answer lost", result: noAnswer, cause: otp.ErrUnreachable, simFault: kind(inwebosim.KindLostAnswer), accepted: true, retried: true},
		{name: "answer cut", result: noAnswer, cause: otp.ErrUnreachable, simFault: kind(inwebosim.KindCut), accepted: true, retried: true},
		{name: "answer torn", result: noAnswer, cause: otp.ErrNotUnderstood, simFault: inwebosim.Fault{Kind: inwebosim.KindTruncated, Bytes: -1}, accepted: true},
		{name: "foreign XML", result: noAnswer, cause: otp.ErrNotUnderstood, simFault: kind(inwebosim.KindOtherRoot), accepted: true},
		{name: "neither OK nor NOK", result: noAnswer, cause: otp.ErrNotUnderstood, simFault: inwebosim.Fault{Kind: inwebosim.KindErr, Err: "FINE"}},
		{name: "HTTP 500", result: noAnswer, cause: otp.ErrUnreachable, simFault: status(500), retried: true},
		{name: "HTTP 302", result: noAnswer, cause: otp.ErrNotInwebo, simFault: status(302)},
		{name: "web page", result: noAnswer, cause: otp.ErrNotInwebo, simFault: kind(inwebosim.KindHTML)},
		{name: "late", result: noAnswer, cause: otp.ErrLate, simFault: inwebosim.Fault{Kind: inwebosim.KindDelay, Hold: inwebosim.Duration(time.Hour)}, accepted: true, client: impatient},
	}
}

// at is the fault when it happens to that exchange. A document that is not the service's own is a fault of the host where it
// answers a finalize; one of its own that cannot be read is kept there, and may say at least that inWebo did what was asked.
// A setup carries no PIN that inWebo could refuse.
func (f exchangeFault) at(exchange inwebo.Exchange) exchangeFault {
	switch isSetup := exchange == inwebo.ExchangeActivateSetup || exchange == inwebo.ExchangeOTPSetup; {
	case isSetup && f.cause == otp.ErrPINRefused:
		f.cause = otp.ErrAccess
	case isSetup:
	case f.name == "foreign XML":
		f.cause = otp.ErrNotInwebo
	case f.name == "answer torn":
		f.cause, f.result = otp.ErrUnreadable, done
	case errors.Is(f.cause, otp.ErrNotUnderstood):
		f.cause = otp.ErrUnreadable
	}
	return f
}

func refusals() (faults []exchangeFault) {
	for err, cause := range map[string]error{
		"NOK:ACCESS": otp.ErrPINRefused, "NOK:VERSION": otp.ErrVersion, "NOK:NOK_BLOCKED": otp.ErrBlocked, "NOK:BLOCKED": otp.ErrBlocked,
		"NOK:STATE": otp.ErrState, "NOK:NODEVICE": otp.ErrDeviceUnknown, "NOK:NOCA": otp.ErrNotActivated, "NOK:NOSRV": otp.ErrNoService,
		"NOK:PINREUSED": otp.ErrPINReused, "NOK:SYNCHROFAILED": otp.ErrSynchroFailed, "NOK:FORBIDDEN": otp.ErrForbidden,
		"NOK:PINREFUSED": otp.ErrPINFormat, "NOK:MAXNBTOOLS": otp.ErrTooManyDevices, "NOK:BIOKEY": otp.ErrBlocked,
		"NOK:CODE": otp.ErrSMSCode, "NOK:SN": otp.ErrSyntax, "NOK:SAT": otp.ErrRefused, "NOK": otp.ErrRefused,
	} {
		fault := exchangeFault{
			name: err, result: refused, cause: cause, counts: err == "NOK:ACCESS", mayCount: cause == otp.ErrRefused,
			simFault: inwebosim.Fault{Kind: inwebosim.KindErr, Err: err},
		}
		if err == "NOK:SYNCHROFAILED" {
			fault.result = done
		}
		faults = append(faults, fault)
	}
	slices.SortFunc(faults, func(a, b exchangeFault) int { return strings.Compare(a.name, b.name) })
	return faults
}

// point is an exchange of a conversation.
type point struct {
	exchange inwebo.Exchange
	action   string
	round    int
}

var (
	setup1    = point{inwebo.ExchangeOTPSetup, "ActionSetup", 1}
	finalize1 = point{inwebo.ExchangeOTPFinalize, "ActionFinalize", 1}
	setup2    = point{inwebo.ExchangeOTPSetup, "ActionSetup", 2}
	finalize2 = point{inwebo.ExchangeOTPFinalize, "ActionFinalize", 2}
)

func (p point) String() string { return fmt.Sprintf("%s %d", p.exchange, p.round) }

// remains is what a faulty conversation leaves: steps of the ratchet, doubt, guesses without an answer, units of the
// quota; and how many finalizes inWebo received.
type remains struct {
	steps          uint64
	doubt          bool
	guesses, units int
	finalizes      uint32
}

// exchangeTable is the fault table of design.md: what each exchange leaves that fails in this way.
var exchangeTable = map[point]map[result]remains{
	setup1:    {notSent: {0, false, 0, 0, 0}, noAnswer: {0, false, 0, 0, 0}, refused: {0, false, 0, 0, 0}, done: {0, false, 0, 0, 0}},
	finalize1: {notSent: {0, false, 0, 0, 0}, noAnswer: {0, true, 1, 1, 1}, refused: {0, false, 0, 0, 1}, done: {0, true, 0, 1, 1}},
	setup2:    {notSent: {1, false, 0, 1, 1}, noAnswer: {1, false, 0, 1, 1}, refused: {1, false, 0, 1, 1}, done: {1, false, 0, 1, 1}},
	finalize2: {notSent: {1, false, 0, 1, 1}, noAnswer: {1, true, 1, 1, 2}, refused: {1, false, 0, 1, 2}, done: {1, true, 0, 1, 2}},
}

// Every exchange × whatever can go wrong with it × movement of the keys × what inWebo does about keys of yesterday.
func TestExchangeFaults(t *testing.T) {
	t.Parallel()
	for mode, sim := range simulators(t) {
		for at := range exchangeTable {
			for _, movement := range movements {
				for _, f := range silences(sim) {
					if f.name == "late" && (movement != inwebosim.RatchetDK1 || mode != inwebosim.LostFinalizeStrict) {
						continue // it takes its time, and is a lost answer like others
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%s", mode, at, movement, f.name), func(t *testing.T) {
						t.Parallel()
						f.test(t, sim, at, movement)
					})
				}
			}
		}
	}
}

// Every exchange × every refusal.
func TestRefusals(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	for at := range exchangeTable {
		for _, f := range refusals() {
			t.Run(fmt.Sprintf("%s/%s", at, f.name), func(t *testing.T) {
				t.Parallel()
				f.test(t, sim, at, inwebosim.RatchetDK1)
			})
		}
	}
}

// test lets the fault happen at that point of one conversation, and then asks for another OTP.
func (f exchangeFault) test(t *testing.T, sim *inwebosim.Simulator, at point, movement inwebosim.Ratchet) {
	f = f.at(at.exchange)
	d := plant(t, sim, inwebosim.Override{Ratchet: movement, SecondRound: secondRound(at.round)})
	service := otp.New(d.memory, f.plantedAt(t, d, at), limits(), nil)

	_, err := service.IssueOTP(t.Context(), d.request(), rightPIN)

	f.mustBeTold(t, at, err)
	want := exchangeTable[at][f.result]
	if f.mayCount && at.exchange == inwebo.ExchangeOTPFinalize {
		want.guesses = 1
	}
	d.mustRemain(t, want, f.counts && at.exchange == inwebo.ExchangeOTPFinalize)
	if at.round == 1 {
		mustHaveLines(t, d, "attempt", "outcome: "+string(otp.ReasonOf(f.cause)))
	} else {
		mustHaveLines(t, d, "attempt", "outcome: done", "outcome: "+string(otp.ReasonOf(otp.ErrSecondRound)))
	}
	drained(t, service)
	ahead := f.accepted && at.exchange == inwebo.ExchangeOTPFinalize && movement != inwebosim.RatchetNone
	d.mustGoOn(t, wire(t, sim.ProtocolURL(), time.Minute), ahead)
}

func secondRound(round int) inwebosim.SecondRound {
	if round == 2 {
		return inwebosim.SecondRoundAlways
	}
	return inwebosim.SecondRoundNever
}

// plantedAt makes the client to whom the fault happens there.
func (f exchangeFault) plantedAt(t *testing.T, d *device, at point) otp.Inwebo {
	client := otp.Inwebo(wire(t, d.sim.ProtocolURL(), time.Minute))
	if f.client != nil {
		client = &detour{Inwebo: client, other: f.client(t), of: at.exchange, nth: int64(at.round)}
	}
	if f.simFault.Kind != "" {
		n := f.simFault
		n.Match, n.Skip, n.Times = d.match(at.action), at.round-1, 1
		if f.retried && at.exchange == inwebo.ExchangeOTPSetup {
			n.Times = 2
		}
		must(t, d.sim.Plant(n))
	}
	return client
}

func (f exchangeFault) mustBeTold(t *testing.T, at point, err error) {
	t.Helper()
	want := f.cause
	if at.round == 2 {
		want = otp.ErrSecondRound
	}
	if !errors.Is(err, f.cause) || otp.CauseOf(err) != want {
		t.Errorf("the caller is told %v, which is %v; want %v", err, otp.CauseOf(err), want)
	}
	if _, waits := errors.AsType[*otp.RetryAfterError](err); waits {
		t.Errorf("the caller is told to wait: %v", err)
	}
	if strings.Contains(fmt.Sprint(err), "?") {
		t.Errorf("the error quotes a query: %v", err)
	}
}

// mustRemain holds the record and the simulator's counts against what must be left of one conversation.
func (d *device) mustRemain(t *testing.T, want remains, wrong bool) {
	t.Helper()
	r, truth := d.record(t), d.truth(t)
	got := remains{r.Step - d.before.Step, r.Doubt != nil, len(r.Guard.Attempts), len(r.Quota.Issues), truth.Finalizes}
	if got != want {
		t.Errorf("what remains is %+v, want %+v", got, want)
	}
	if r.Lease != nil || (r.Guard.Wrong == 1) != wrong || r.Guard.Wrong > 1 {
		t.Errorf("the hold is %+v, wrong PINs %d", r.Lease, r.Guard.Wrong)
	}
	if truth.MaxFinalizesPerChallenge > 1 {
		t.Error("a finalize was sent twice")
	}
}

// mustGoOn asks for another OTP of the device, a minute later and in another process: it verifies, or the device is known to be in doubt.
func (d *device) mustGoOn(t *testing.T, client otp.Inwebo, ahead bool) {
	t.Helper()
	inDoubt := d.record(t).Doubt != nil
	service := otp.New(d.later(), client, limits(), nil)
	issued, err := service.IssueOTP(t.Context(), d.request(), rightPIN)
	drained(t, service)
	r := d.record(t)
	if ahead && d.sim.Knobs().LostFinalize != inwebosim.LostFinalizeLenient {
		if otp.CauseOf(err) != otp.ErrInDoubt || !inDoubt || r.Doubt == nil || r.Lease != nil {
			t.Errorf("inWebo is ahead: the caller is told %v, and the record is in doubt: %v, then %+v", err, inDoubt, r.Doubt)
		}
		return
	}
	mustVerify(t, d, issued, err)
	if !d.inStep(t) || r.Doubt != nil || r.Lease != nil || r.Guard.Wrong != 0 || len(r.Guard.Attempts) != 0 {
		t.Errorf("after an OTP: in step %v, %+v", d.inStep(t), r)
	}
	if truth := d.truth(t); truth.MaxFinalizesPerChallenge > 1 {
		t.Error("a finalize was sent twice")
	}
}
