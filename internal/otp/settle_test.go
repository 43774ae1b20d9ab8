package otp

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

var testLimits = Limits{Guard: guardLimits, OTPsPerDay: 6}

func enrolledRecord() Record {
	return Record{
		Account: "a", Revision: 7, Serial: "device/_/alea", Step: 3, MovedBy: 5, Blocking: NotBlocked,
		Device: &Device{
			Identity: inwebo.Identity{ID: "id", LastSync: "1"}, Services: []inwebo.Service{{ID: "1", Name: "PSA"}},
			State: ratchet.State{
				Keys:   ratchet.Keys{K0: secret.NewText(strings.Repeat("0", 32)), K1: secret.NewText(strings.Repeat("1", 32))},
				Secret: secret.NewBytes([]byte("0123456789abcdef")),
			},
		},
	}
}

// heldRecord is r with a hold of the conversation at now, as an OTP takes it.
func heldRecord(t rapid.TB, r Record, conversation string, now time.Time) Record {
	t.Helper()
	held, err := r.withLease(conversation, now, now.Add(17*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if held, err = held.withCosts(conversation, rightClock(now), &testLimits); err != nil {
		t.Fatal(err)
	}
	return held
}

func paramsOf(r Record, conversation string) settleParams {
	return settleParams{conversation: conversation, last: true, written: &r}
}

// renamed leaves the device with another id, to tell who moved it.
type renamed string

func (n renamed) apply(r Record, written *Record, _ time.Time, _ uint64) (Record, bool) {
	if r.Device == nil || !sameDevice(r.Device, written.Device) {
		return r, false
	}
	device := *r.Device
	device.Identity.ID = string(n)
	r.Device = &device
	return r, true
}

func (renamed) isStep() bool { return true }

// movedTo is an accepted outcome that leaves name as the device's id.
func movedTo(name string) outcome { return ofAnswer(inwebo.Finalized{}, renamed(name)) }

// An enrollment that ends in time forgives wrong PINs. One that has lost its lease may be older than they are.
func TestSettleEnrolled(t *testing.T) {
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	device := *held.Device
	device.Origin = "a"
	done := ofAnswer(inwebo.Finalized{}, enrolled{device: device})
	later := epoch.Add(time.Minute)
	overtaken := heldRecord(t, held, "b", later)
	overtaken, _ = overtaken.applyOutcome(paramsOf(overtaken, "b"), outcome{result: refused, err: ErrPINRefused, wrongPIN: true}, later)
	if got, superseded := overtaken.applyOutcome(paramsOf(held, "a"), done, later); superseded || got.Guard.Wrong != 1 || got.Device.Origin != "a" {
		t.Errorf("late: superseded %v, %+v", superseded, got)
	}
	held.Guard.Wrong = 1
	if got, superseded := held.applyOutcome(paramsOf(held, "a"), done, epoch); superseded || got.Guard.Wrong != 0 || got.Device.Origin != "a" {
		t.Errorf("in time: superseded %v, %+v", superseded, got)
	}
}

// An activation whose record was replaced meanwhile, by one with another device of the same serial, has given that device
// other keys at inWebo.
func TestSettleActivationOfReplacedRecord(t *testing.T) {
	left := heldRecord(t, enrolledRecord(), "a", epoch)
	replaced := enrolledRecord()
	device := *replaced.Device
	device.Origin = "another"
	replaced.Device = &device
	params := paramsOf(left, "a")
	params.enrolls = true
	for serial, isDoubtful := range map[ratchet.Serial]bool{left.Serial: true, "another/_/alea": false} {
		replaced.Serial = serial
		got, superseded := replaced.applyOutcome(params, ofAnswer(inwebo.Finalized{}, activated{}), epoch)
		if !superseded || got.Device.Origin != "another" || (got.Doubt != nil) != isDoubtful {
			t.Errorf("serial %s: superseded %v, doubt %+v", serial, superseded, got.Doubt)
		}
	}
}

func TestSettleAccepted(t *testing.T) {
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	got, superseded := held.applyOutcome(paramsOf(held, "a"), movedTo("next"), epoch)
	if superseded || got.Lease != nil || got.Step != held.Step+1 || got.MovedBy != held.Revision || got.Device.Identity.ID != "next" {
		t.Errorf("superseded %v, %+v", superseded, got)
	}
	if len(got.Guard.Attempts) != 0 || len(got.Quota.Issues) != 1 {
		t.Errorf("a success leaves %d guesses taken and %d units", len(got.Guard.Attempts), len(got.Quota.Issues))
	}
	if held.Device.Identity.ID != "id" || held.Lease == nil {
		t.Error("settling changed the record that it came from")
	}
}

func TestSettleRefused(t *testing.T) {
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	for reason, wrong := range map[inwebo.Reason]int{inwebo.ReasonAccess: 1, inwebo.ReasonVersion: 0} {
		got, _ := held.applyOutcome(paramsOf(held, "a"), finalizeFailed(&inwebo.Refusal{Reason: reason}), epoch)
		if got.Lease != nil || got.Step != held.Step || got.Guard.Wrong != wrong || len(got.Guard.Attempts) != 0 || len(got.Quota.Issues) != 0 || got.Doubt != nil {
			t.Errorf("%s: %+v", reason, got)
		}
	}
	got, _ := held.applyOutcome(paramsOf(held, "a"), setupFailed(&inwebo.Refusal{Reason: inwebo.ReasonAccess}), epoch)
	if got.Guard.Wrong != 0 {
		t.Error("a refused setup counts as a wrong PIN")
	}
}

func TestSettleLost(t *testing.T) {
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	lostAnswer := outcome{result: noAnswer, err: ErrLate}
	got, _ := held.applyOutcome(paramsOf(held, "a"), lostAnswer, epoch)
	if got.Doubt == nil || got.Lease != nil || len(got.Guard.Attempts) != 1 || len(got.Quota.Issues) != 1 || got.Step != held.Step {
		t.Errorf("%+v", got)
	}
	again := heldRecord(t, got, "b", epoch.Add(time.Hour))
	if got, _ = again.applyOutcome(paramsOf(again, "b"), movedTo("next"), epoch); got.Doubt != nil {
		t.Error("an accepted proof leaves the doubt")
	}
}

func TestSettleUnsentGivesEverythingBack(t *testing.T) {
	before := enrolledRecord()
	held := heldRecord(t, before, "a", epoch)
	got, _ := held.applyOutcome(paramsOf(held, "a"), outcome{result: neverSent, err: ErrUnreachable}, epoch)
	got.Revision = before.Revision
	got.Guard.Attempts, got.Quota.Issues = nil, nil
	if !reflect.DeepEqual(got, before) {
		t.Errorf("%+v, want %+v", got, before)
	}
}

func TestAVanishedHolderLeavesADoubt(t *testing.T) {
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	if _, err := held.withLease("b", epoch.Add(16*time.Second), epoch.Add(time.Minute)); waitOf(t, err, ErrBusy) != time.Second {
		t.Errorf("%v", err)
	}
	if held.InDoubt(epoch.Add(16 * time.Second)) {
		t.Error("in doubt while the holder lives")
	}
	later := epoch.Add(17 * time.Second)
	if !held.InDoubt(later) {
		t.Error("not in doubt though the holder vanished")
	}
	taken := heldRecord(t, held, "b", later)
	if taken.Doubt == nil || taken.Doubt.By != held.Revision || len(taken.Guard.Attempts) != 2 || len(taken.Quota.Issues) != 2 {
		t.Errorf("%+v", taken)
	}
}

// A holder that slept past its deadline settles late. An answer is lost only to a later conversation's answer.
func TestALateSettle(t *testing.T) {
	first := heldRecord(t, enrolledRecord(), "a", epoch)
	second := heldRecord(t, first, "b", epoch.Add(time.Minute))
	early, late := paramsOf(first, "a"), paramsOf(second, "b")

	afterFirst, superseded := second.applyOutcome(early, movedTo("a's"), epoch)
	if superseded || afterFirst.Device.Identity.ID != "a's" || !afterFirst.isLeasedBy("b") || afterFirst.Doubt != nil {
		t.Errorf("the late answer: superseded %v, %+v", superseded, afterFirst)
	}
	afterBoth, superseded := afterFirst.applyOutcome(late, movedTo("b's"), epoch)
	if superseded || afterBoth.Device.Identity.ID != "b's" || afterBoth.Step != second.Step+2 {
		t.Errorf("the later conversation: superseded %v, %+v", superseded, afterBoth)
	}
	afterSecond, _ := second.applyOutcome(late, movedTo("b's"), epoch)
	tooLate, superseded := afterSecond.applyOutcome(early, movedTo("a's"), epoch)
	if !superseded || tooLate.Device.Identity.ID != "b's" || tooLate.Step != afterSecond.Step {
		t.Errorf("an answer older than the state: superseded %v, %+v", superseded, tooLate)
	}
	doubted, _ := second.applyOutcome(late, outcome{result: noAnswer, err: ErrLate}, epoch)
	cleared, _ := doubted.applyOutcome(early, movedTo("a's"), epoch)
	if cleared.Doubt == nil {
		t.Error("an older answer ends the doubt that a later conversation left")
	}
}

func TestSettleBetweenRoundsKeepsTheHold(t *testing.T) {
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	c := paramsOf(held, "a")
	c.last = false
	first, _ := held.applyOutcome(c, movedTo("first"), epoch)
	if !first.isLeasedBy("a") || len(first.Guard.Attempts) != 1 || len(first.Quota.Issues) != 1 || first.Step != held.Step+1 {
		t.Errorf("after the first round: %+v", first)
	}
	c.last, c.rounds = true, 1
	second, superseded := first.applyOutcome(c, finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonState}), epoch)
	if superseded || second.Lease != nil || len(second.Guard.Attempts) != 0 || len(second.Quota.Issues) != 1 {
		t.Errorf("after the second: %+v", second)
	}
}

func TestARefusalThatCarriesKeysMovesTheRatchet(t *testing.T) {
	move, err := ratchet.NewMove("", strings.Repeat("a", 32), "")
	if err != nil {
		t.Fatal(err)
	}
	held := heldRecord(t, enrolledRecord(), "a", epoch)
	refusal := &inwebo.Refusal{Reason: inwebo.ReasonAccess, Sync: inwebo.Sync{Move: move, LastSync: "9"}}
	got, _ := held.applyOutcome(paramsOf(held, "a"), finalizeFailed(refusal), epoch)
	if got.Step != held.Step+1 || got.Device.Identity.LastSync != "9" || got.Device.State.Unproven.IsEmpty() || got.Guard.Wrong != 1 {
		t.Errorf("%+v", got)
	}
}

func TestRecordSurvivesItsRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record := enrolledRecord()
		record.Activations = rapid.IntRange(0, 20).Draw(t, "activations")
		if rapid.Bool().Draw(t, "held") {
			record = heldRecord(t, record, "c", epoch)
		}
		if rapid.Bool().Draw(t, "in doubt") {
			record.Doubt = &Doubt{Since: epoch, By: 4}
		}
		if rapid.Bool().Draw(t, "enrolling") {
			record.Enrollment = &Enrollment{Phase: PhaseActivated, Device: *enrolledRecord().Device, Challenge: "-1"}
		}
		if rapid.Bool().Draw(t, "unproven") {
			move, _ := ratchet.NewMove(strings.Repeat("b", 32), "", "d")
			record.Device.State = record.Device.State.Told(move)
		}
		if rapid.Bool().Draw(t, "unread") {
			answer := UnreadAnswer{Exchange: inwebo.ExchangeOTPFinalize, At: epoch, Step: 3, Answer: secret.NewBytes([]byte(strings.Repeat("0", 32)))}
			record.Unread = []UnreadAnswer{answer}
			record.Device.Fallback = &Fallback{State: record.Device.State, Before: true, Step: 2}
		}
		row, err := encode(&record, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(row)
		if err != nil || !reflect.DeepEqual(got, record) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, record)
		}
		if row.InDoubt != (record.Doubt != nil) || row.LeasedUntil.IsZero() != (record.Lease == nil) {
			t.Fatalf("the row says in doubt %v, held until %v", row.InDoubt, row.LeasedUntil)
		}
		for _, k := range []string{strings.Repeat("0", 32), strings.Repeat("1", 32), strings.Repeat("b", 32)} {
			if strings.Contains(string(row.Body), k) {
				t.Fatal("a key is in the body, which is not sealed")
			}
		}
	})
}

func TestDecodeRefusesDamage(t *testing.T) {
	row, err := encode(new(enrolledRecord()), false)
	if err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(*Row){
		"no body":        func(r *Row) { r.Body = nil },
		"a newer schema": func(r *Row) { r.Body, _ = encoding.Marshal(body{schema + 1, enrolledRecord()}) },
		"no vault":       func(r *Row) { r.Secrets = secret.Bytes{} },
		"a torn vault":   func(r *Row) { r.Secrets = secret.NewBytes(r.Secrets.Reveal()[1:]) },
		"a short key": func(r *Row) {
			v := secretsOf(new(enrolledRecord()))
			v.Device.K0 = "0"
			text, _ := encoding.Marshal(v)
			r.Secrets = secret.NewBytes(text)
		},
	}
	for name, damage := range damages {
		damaged := row
		damage(&damaged)
		if _, err := Decode(damaged); err == nil || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryRefusalHasItsOwnCause(t *testing.T) {
	seen := map[error]inwebo.Reason{}
	for _, reason := range []inwebo.Reason{
		inwebo.ReasonCode, inwebo.ReasonSyntax, inwebo.ReasonAccess, inwebo.ReasonVersion, inwebo.ReasonBlocked, inwebo.ReasonState,
		inwebo.ReasonNoDevice, inwebo.ReasonNotActivated, inwebo.ReasonNoService, inwebo.ReasonPINReused, inwebo.ReasonSynchroFailed,
		inwebo.ReasonForbidden, inwebo.ReasonPINRefused, inwebo.ReasonTooManyTools, inwebo.ReasonUnknown,
	} {
		cause := CauseOf(finalizeFailed(&inwebo.Refusal{Reason: reason}).err)
		if other, taken := seen[cause]; taken || cause == nil {
			t.Errorf("%s and %s have the same cause, %v", reason, other, cause)
		}
		seen[cause] = reason
	}
	if got := finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonBiokey}); !errors.Is(got.err, ErrBlocked) || got.blocking != PINBlocked {
		t.Errorf("a locked biokey: %v, shown as %q", got.err, got.blocking)
	}
	if got := finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonTimeout}); !errors.Is(got.err, ErrTooSlow) {
		t.Errorf("too slow between setup and finalize: %v", got.err)
	}
}

// However many refusals carry a step, the record does not grow without bound; a step that is not kept leaves a doubt.
func TestRefusalsDoNotGrowTheRecord(t *testing.T) {
	for name, row := range map[string]struct {
		waits bool // K1 waits for a PIN
		most  int  // bytes of the vault beyond those before
		doubt bool
	}{
		"K1 is known":        {false, 0, false},
		"K1 waits for a PIN": {true, 5000, true},
	} {
		r := enrolledRecord()
		if row.waits {
			r.Device.State.Unproven.K1 = secret.NewText(strings.Repeat("b", 32))
		}
		before, err := encode(&r, false)
		if err != nil {
			t.Fatal(err)
		}
		move, _ := ratchet.NewMove("", "", strings.Repeat("d", 32))
		refusal := finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonState, Sync: inwebo.Sync{Move: move}})
		for range 500 {
			held := heldRecord(t, r, "a", epoch)
			r, _ = held.applyOutcome(paramsOf(held, "a"), refusal, epoch)
		}
		after, err := encode(&r, false)
		if err != nil {
			t.Fatal(err)
		}
		if grown := len(after.Secrets.Reveal()) - len(before.Secrets.Reveal()); grown > row.most || (r.Doubt != nil) != row.doubt || len(after.Body) > len(before.Body)+100 {
			t.Errorf("%s: after 500 refusals the vault has grown by %d bytes, the body from %d to %d, doubt %+v", name, grown, len(before.Body), len(after.Body), r.Doubt)
		}
	}
}

// The newest two answers are kept, one for each step and exchange; one that was accepted makes place for no other.
func TestWhichUnreadAnswersAreKept(t *testing.T) {
	answer := func(text string, accepted bool) UnreadAnswer {
		return UnreadAnswer{Exchange: inwebo.ExchangeOTPFinalize, Accepted: accepted, Answer: secret.NewBytes([]byte(text))}
	}
	r := enrolledRecord()
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, kept := range r.Unread {
			got = append(got, string(kept.Answer.Reveal()))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("kept are %q, want %q", got, want)
		}
	}
	r = r.withUnread(answer("a", false), epoch)
	r = r.withUnread(answer("b", false), epoch)
	expect("b")
	r = r.withUnread(answer("c", true), epoch)
	r = r.withUnread(answer("d", false), epoch)
	expect("c")
	r.Step++
	r = r.withUnread(answer("e", false), epoch)
	expect("c", "e")
	r.Step++
	r = r.withUnread(answer("f", true), epoch)
	expect("e", "f")
	if r.Unread[1].Step != r.Step || !r.Unread[1].At.Equal(epoch) {
		t.Errorf("%+v", r.Unread)
	}
	enrollment := answer("g", true)
	enrollment.Exchange = inwebo.ExchangeActivateFinalize
	r = r.withUnread(enrollment, epoch)
	expect("f", "g") // that of the device stays
}
