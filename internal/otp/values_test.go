package otp

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// TestOutcomeForARestoredRecord: where the record does not know the lease, its steps decide whether a later conversation came first.
func TestOutcomeForARestoredRecord(t *testing.T) {
	t.Parallel()
	written := &Record{Step: 5}
	for step, want := range map[uint64]bool{4: false, 5: false, 6: true} {
		_, superseded := Record{Step: step}.applyOutcome(
			settleParams{conversation: "restored away", written: written, last: true}, outcome{result: neverSent, err: ErrLate}, time.Unix(1, 0))
		if superseded != want {
			t.Errorf("written at step %d, settled at step %d: superseded is %v", written.Step, step, superseded)
		}
	}
}

// TestClockTolerance: a store's clock may run ahead by the tolerance, and by no more.
func TestClockTolerance(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	for ahead, want := range map[time.Duration]time.Duration{0: 0, ClockTolerance: 0, ClockTolerance + 1: ClockTolerance + 1} {
		var clock StoreClock
		clock.Look(began, began)
		if got := clock.Look(began.Add(time.Minute), began.Add(time.Minute+ahead)); got.Ahead != want {
			t.Errorf("a clock that has jumped by %v is taken to run ahead by %v, want %v", ahead, got.Ahead, want)
		}
	}
}

// TestClockProbation: a clock that has jumped is believed when the probation is over, and not before.
func TestClockProbation(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	for passed, want := range map[time.Duration]time.Duration{ClockProbation - 1: time.Hour, ClockProbation: 0} {
		var clock StoreClock
		clock.Look(began, began)
		clock.Look(began, began.Add(time.Hour))
		if got := clock.Look(began.Add(passed), began.Add(passed+time.Hour)); got.Ahead != want {
			t.Errorf("%v after the jump, the clock is taken to run ahead by %v, want %v", passed, got.Ahead, want)
		}
	}
}

// TestWholeDevices: a device that lacks a part that an OTP needs, or whose serial no store claims, is not imported.
func TestWholeDevices(t *testing.T) {
	t.Parallel()
	whole := ForeignDevice{
		Serial: ratchet.Serial(strings.Repeat("s", maxSerial)), Identity: inwebo.Identity{ID: "i"}, Services: []inwebo.Service{{ID: "s"}},
		State: ratchet.State{
			Keys: ratchet.Keys{K0: secret.NewText("0"), K1: secret.NewText("1")}, Secret: secret.NewBytes([]byte("secret")),
		},
	}
	if !whole.isWhole() {
		t.Error("a whole device is refused")
	}
	for name, change := range map[string]func(*ForeignDevice){
		"id":       func(f *ForeignDevice) { f.Identity.ID = "" },
		"serial":   func(f *ForeignDevice) { f.Serial = "" },
		"length":   func(f *ForeignDevice) { f.Serial += "s" },
		"services": func(f *ForeignDevice) { f.Services = nil },
		"K0":       func(f *ForeignDevice) { f.State.Keys.K0 = secret.Text{} },
		"K1":       func(f *ForeignDevice) { f.State.Keys.K1 = secret.Text{} },
		"secret":   func(f *ForeignDevice) { f.State.Secret = secret.Bytes{} },
		"forms":    func(f *ForeignDevice) { f.State.Unopened = secret.NewText("closed") },
	} {
		broken := whole
		change(&broken)
		if broken.isWhole() {
			t.Errorf("a device without a good %s is taken", name)
		}
	}
}

// TestRetryAfterErrorText: the text names whole seconds, and never less than the wait.
func TestRetryAfterErrorText(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		1: "1s", time.Second: "1s", time.Second + 1: "2s", 90*time.Second - 1: "1m30s",
	} {
		if got := (&RetryAfterError{ErrBusy, wait}).Error(); got != "the device is busy; try again in "+want {
			t.Errorf("%v: %s", wait, got)
		}
	}
}

// TestLeftAfterAJump: a time in the nearer half of a jump of the clock is from after it, and counts by the clock as it runs now.
func TestLeftAfterAJump(t *testing.T) {
	t.Parallel()
	began, life := time.Unix(1_700_000_000, 0), 10*time.Minute
	var clock StoreClock
	clock.Look(began, began)
	reading := clock.Look(began, began.Add(time.Hour))
	for age, want := range map[time.Duration]time.Duration{
		5 * time.Minute:  life - 5*time.Minute,
		15 * time.Minute: life - 15*time.Minute,
		45 * time.Minute: ClockProbation, // it is not known to be older than the jump
	} {
		if got := reading.Left(reading.Now.Add(-age), life); got != want {
			t.Errorf("%v after a stamp, %v is left of %v, want %v", age, got, life, want)
		}
	}
	const passed = time.Minute
	if got, want := reading.At(passed).Left(reading.Now.Add(-45*time.Minute), life), ClockProbation-passed; got != want {
		t.Errorf("%v later, %v is left, want %v", passed, got, want)
	}
}

// TestOutcomesThatMayMove: each part of an outcome by which inWebo's device may differ from what is stored is enough.
func TestOutcomesThatMayMove(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome outcome
		want    bool
	}{
		"never sent":     {outcome{result: neverSent, err: ErrLate}, false},
		"refused":        {outcome{result: refused, err: ErrPINRefused, wrongPIN: true, finalized: true}, false},
		"no answer":      {outcome{result: noAnswer, err: ErrLate}, true},
		"accepted":       {outcome{result: accepted}, true},
		"effect unknown": {outcome{result: effectUnknown}, true},
		"with a change":  {outcome{result: refused, err: ErrState, change: displaced{}}, true},
		"with an answer": {outcome{result: refused, err: ErrState, unread: &UnreadAnswer{}}, true},
	} {
		if got := tc.outcome.mayMove(); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestCatchPanic: the error names the place of the panic, and nothing of a value that is not the runtime's.
func TestCatchPanic(t *testing.T) {
	t.Parallel()
	for want, do := range map[string]func() error{
		"panic with a value of type string at ":     func() error { panicAtHome("1234"); return nil },
		"panic: assignment to entry in nil map at ": func() error { writeToNil(nil); return nil },
	} {
		err := CatchPanic(do)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "1234") ||
			!strings.Contains(err.Error(), "values_test.go:") {
			t.Errorf("the error is %v, want one that begins with %q and names values_test.go", err, want)
		}
	}
	if err := CatchPanic(func() error { return ErrBusy }); err != ErrBusy {
		t.Errorf("without a panic, the error is %v", err)
	}
}

func panicAtHome(text string) { panic(text) }

func writeToNil(m map[string]int) { m["a"] = 1 }

// TestAttemptOfAConversation: a guard gets the one attempt of the conversation, in the order of time, and no second one. A quota gets its OTP.
func TestAttemptOfAConversation(t *testing.T) {
	t.Parallel()
	first := Attempt{Conversation: "first", At: epoch}
	second := Attempt{Conversation: "second", At: epoch.Add(time.Minute)}
	own := Attempt{Conversation: "own", At: epoch.Add(time.Hour)}
	other := Guard{Attempts: []Attempt{first, second}}
	for conversation, want := range map[string][]Attempt{"first": {first, own}, "second": {second, own}, "own": {own}, "none": {own}} {
		got := Guard{Attempts: []Attempt{own}}.withAttemptOf(conversation, other).withAttemptOf(conversation, other)
		if !slices.Equal(got.Attempts, want) {
			t.Errorf("with the attempt of %q: %v, want %v", conversation, got.Attempts, want)
		}
		if got := issuesAt(own).withIssueOf(conversation, issuesAt(first, second)); !slices.Equal(got.Issues, issuesAt(want...).Issues) {
			t.Errorf("with the OTP of %q: %v, want those of %v", conversation, got.Issues, want)
		}
	}
}

// issuesAt returns a quota with an OTP for each attempt.
func issuesAt(attempts ...Attempt) (q Quota) {
	for _, attempt := range attempts {
		q.Issues = append(q.Issues, Issue{Conversation: attempt.Conversation, At: attempt.At})
	}
	return q
}

// TestForgiveUntil: a success of the past forgives the attempts that were over by then, as far as they are.
func TestForgiveUntil(t *testing.T) {
	t.Parallel()
	under := Attempt{Conversation: "under way", At: epoch.Add(-1)}
	later := Attempt{Conversation: "later", At: epoch.Add(1), Over: true}
	g := Guard{Attempts: []Attempt{{Conversation: "over", At: epoch, Over: true}, under, later}}
	if got := g.forgiveUntil(epoch).Attempts; !slices.Equal(got, []Attempt{under, later}) {
		t.Errorf("%+v are left", got)
	}
}

// TestSameDevice: a device is known by its origin, and none is the same as none.
func TestSameDevice(t *testing.T) {
	t.Parallel()
	devices := []*Device{nil, {}, {Origin: "a"}, {Origin: "b"}}
	for i, a := range devices {
		for j, b := range devices {
			if got := sameDevice(a, b); got != (i == j) {
				t.Errorf("%+v is the same device as %+v: %v", a, b, got)
			}
		}
	}
}

// TestWithoutLease: of the conversations that a record remembers, it forgets the one alone.
func TestWithoutLease(t *testing.T) {
	t.Parallel()
	r := Record{Lease: &Lease{Conversation: "c"}, Overtaken: []Overtaken{{Conversation: "a"}, {Conversation: "b"}}}
	if got := r.withoutLease("a"); got.Lease != r.Lease || !slices.Equal(got.Overtaken, r.Overtaken[1:]) {
		t.Errorf("without that of a: %+v", got)
	}
	if got := r.withoutLease("c"); got.Lease != nil || !slices.Equal(got.Overtaken, r.Overtaken) {
		t.Errorf("without that of c: %+v", got)
	}
}

// TestIsBlank: each thing that is known of a device, alone, keeps a record from being taken for a deleted one.
func TestIsBlank(t *testing.T) {
	t.Parallel()
	for _, r := range []Record{{}, {Revision: 1}, {Revision: 9, Activations: 2, Disabled: true}} {
		if !r.isBlank() {
			t.Errorf("not blank: %+v", r)
		}
	}
	for _, r := range []Record{
		{Device: &Device{}}, {Enrollment: &Enrollment{}}, {Serial: "serial"}, {Step: 1}, {damaged: true}, {Lease: &Lease{}},
	} {
		if r.Revision = 3; r.isBlank() {
			t.Errorf("blank: %+v", r)
		}
	}
}

// TestRecreated: a record that begins again keeps a doubt, which a proof of any lease ends, and makes none.
func TestRecreated(t *testing.T) {
	t.Parallel()
	r := Record{Revision: 7, Lease: &Lease{Revision: 6, Until: epoch.Add(time.Second)}}
	if got := r.recreated(Record{}, epoch); got.Doubt != nil || got.Lease == nil || got.Lease.Revision != 1 {
		t.Errorf("without a doubt: %+v", got)
	}
	r.Doubt = &Doubt{Since: epoch, By: 5}
	if got := r.recreated(Record{}, epoch.Add(time.Second)); got.Doubt == nil || *got.Doubt != (Doubt{Since: epoch}) || got.Lease != nil {
		t.Errorf("with a doubt: %+v", got)
	}
}

// TestCorrectableRecords: there must be a record, and nothing of a damaged one may be lost.
func TestCorrectableRecords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		record Record
		want   bool
	}{
		"no record":          {Record{}, false},
		"a whole one":        {Record{Revision: 1}, true},
		"what is left":       {Record{Revision: 1, damaged: true}, false},
		"kept as it is":      {Record{Revision: 1, damaged: true, undecoded: &Row{}}, true},
		"nothing to be kept": {Record{damaged: true, undecoded: &Row{}}, false},
	} {
		if got := tc.record.isCorrectable(); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestAllowance: an OTP counts for 24 hours, and no longer.
func TestAllowance(t *testing.T) {
	t.Parallel()
	q := Quota{Issues: []Issue{{Conversation: "a", At: epoch}, {Conversation: "b", At: epoch.Add(time.Hour)}}}
	for passed, want := range map[time.Duration]Allowance{
		quotaWindow - 1:         {PerDay: 6, Left: 4, Renews: 1},
		quotaWindow:             {PerDay: 6, Left: 5, Renews: time.Hour},
		quotaWindow + time.Hour: {PerDay: 6, Left: 6},
	} {
		if got := q.allowance(epoch.Add(passed), 6); got != want {
			t.Errorf("after %v, the allowance is %+v, want %+v", passed, got, want)
		}
	}
}

// TestInheritingFromOwnRows: a record does not inherit from the rows that it was made of.
func TestInheritingFromOwnRows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		revision uint64
		former   bool
		want     int
	}{
		"its row":                     {4, false, 0},
		"its former device":           {4, true, 0},
		"one of an earlier life":      {5, true, 1},
		"a later one of earlier life": {6, true, 1},
	} {
		row, err := Encode(Record{Account: "alice", Revision: tc.revision, Serial: "s", Tenure: 1, Guard: Guard{Wrong: 1}})
		if err != nil {
			t.Fatal(err)
		}
		row.Former = tc.former
		r := Record{Account: "alice", Revision: 5, Serial: "s", Tenure: 1}
		if r, err = r.inheriting(History{"s", []Row{row}}, guardLimits); err != nil || r.Guard.Wrong != tc.want {
			t.Errorf("%s: %d wrong PINs are inherited (%v), want %d", name, r.Guard.Wrong, err, tc.want)
		}
	}
}

// TestAccountLocks: a lock lasts while a call has it, whatever other calls waited in vain for it, and leaves nothing behind.
func TestAccountLocks(t *testing.T) {
	t.Parallel()
	locks := newAccountLocks()
	for range 2 {
		unlock, err := locks.lock(t.Context(), "a", time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := locks.lock(t.Context(), "a", time.Time{}); err == nil {
				t.Fatal("two calls have the lock of an account")
			}
		}
		if unlock(); len(locks.locks) != 0 {
			t.Errorf("%d locks are left", len(locks.locks))
		}
	}
}

// TestActivationLimitsAtTheirEdges: from a limit on it counts, and zero is no limit.
func TestActivationLimitsAtTheirEdges(t *testing.T) {
	t.Parallel()
	limits := ActivationLimits{Warn: 2, Refuse: 3}
	for tried, want := range map[int]Activations{
		0: {}, 1: {Tried: 1}, 2: {Tried: 2, FewLeft: true}, 3: {Tried: 3, FewLeft: true, Exhausted: true},
	} {
		if got := limits.check(tried); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := (ActivationLimits{}).check(tried); got != (Activations{Tried: tried}) {
			t.Errorf("without limits: %+v", got)
		}
	}
}

// TestDoubtOfAnEpoch: only a lease that is taken after the epoch was raised ends its doubt.
func TestDoubtOfAnEpoch(t *testing.T) {
	t.Parallel()
	row := Row{Epoch: 1, StoreEpoch: Epoch{Number: 2, Since: epoch}}
	if got := enrolledRecord().inEpochOf(row).Doubt; got == nil || *got != (Doubt{Since: epoch, By: enrolledRecord().Revision + 1}) {
		t.Errorf("%+v", got)
	}
}

// TestDoubtOfARowThatCannotBeDecoded: each fact that is stored next to the body is enough.
func TestDoubtOfARowThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		row  Row
		want bool
	}{
		"nothing":               {Row{}, false},
		"a flag":                {Row{InDoubt: true}, true},
		"an earlier epoch":      {Row{Epoch: 1, StoreEpoch: Epoch{Number: 2}}, true},
		"the epoch of today":    {Row{Epoch: 2, StoreEpoch: Epoch{Number: 2}}, false},
		"no device in an epoch": {Row{StoreEpoch: Epoch{Number: 2}}, false},
		"a lease":               {Row{LeasedUntil: epoch.Add(1)}, false},
		"a lease that is over":  {Row{LeasedUntil: epoch}, true},
	} {
		if got := tc.row.isInDoubt(epoch); got != tc.want {
			t.Errorf("%s: in doubt %v, want %v", name, got, tc.want)
		}
	}
}

// TestStatusOf: of a row that cannot be decoded, what is known is returned with the error.
func TestStatusOf(t *testing.T) {
	t.Parallel()
	row, err := Encode(Record{Account: "alice", Revision: 1, Step: 3})
	if err != nil {
		t.Fatal(err)
	}
	service := New(nil, nil, Limits{}, nil)
	if st, err := service.StatusOf(row, epoch); err != nil || st.State != StateNotEnrolled || st.Step != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	row.Body = []byte{0x05}
	if st, err := service.StatusOf(row, epoch); !errors.Is(err, ErrDamaged) || st.State != StateUnreadable {
		t.Errorf("of a damaged row: %+v, %v", st, err)
	}
	if _, err := HasFutureStamps(row, epoch); !errors.Is(err, ErrDamaged) {
		t.Errorf("stamps of a damaged row: %v", err)
	}
}

// TestStatusOfARecord: a record is known when it was stored, and its status has what is known of it.
func TestStatusOfARecord(t *testing.T) {
	t.Parallel()
	if st := statusOf(Record{}, epoch, Limits{}); st.Known || st.UnreadAnswers != 0 || st.Blocking != BlockingUnknown || st.OTPsLeft != nil {
		t.Errorf("of none: %+v", st)
	}
	r := enrolledRecord()
	r.Unread, r.sealedUnread = []UnreadAnswer{{Step: 1}}, 1
	r.Device.Services = append(r.Device.Services, inwebo.Service{ID: "2", Name: "other"})
	st := statusOf(r, epoch, Limits{ServiceID: "1", OTPsPerDay: 1})
	if !st.Known || st.UnreadAnswers != 2 || st.Blocking != NotBlocked || st.OTPsLeft == nil || *st.OTPsLeft != 1 || st.Service != "PSA" {
		t.Errorf("of one with kept answers: %+v", st)
	}
}

// TestHistoryHolds: a history does not hold when a row of another account has changed in any way.
func TestHistoryHolds(t *testing.T) {
	t.Parallel()
	row := Row{Account: "bob", Revision: 1, Claim: Claim{Serial: "s"}, Body: []byte("body")}
	own := Row{Account: "alice", Revision: 1}
	for name, tc := range map[string]struct {
		change func(*Row)
		want   bool
	}{
		"nothing":      {func(*Row) {}, true},
		"the account":  {func(r *Row) { r.Account = "carol" }, false},
		"the device":   {func(r *Row) { r.Former = true }, false},
		"the revision": {func(r *Row) { r.Revision++ }, false},
		"the claim":    {func(r *Row) { r.Claim.Active = true }, false},
		"the body":     {func(r *Row) { r.Body = nil }, false},
	} {
		changed := row
		tc.change(&changed)
		if got := (History{"s", []Row{row, own}}).Holds([]Row{changed}, "alice"); got != tc.want {
			t.Errorf("with a change of %s, it holds: %v", name, got)
		}
	}
}

// TestRereadWord: the audit log says what became of kept answers, the best first.
func TestRereadWord(t *testing.T) {
	t.Parallel()
	for did, want := range map[Reread]string{
		{}:                                          "nothing to apply",
		{Unread: 2, Refusals: 1, Outdated: 1}:       "nothing to apply",
		{Applied: 1, Unreadable: 1, NeedsPIN: 1}:    outcomeDone,
		{Unreadable: 1, Refusals: 1}:                string(errcodes.ReasonAnswerUnreadable),
		{NeedsPIN: 1, Refusals: 1}:                  string(errcodes.ReasonAnswerUnreadable),
		{Unread: 1, Applied: 1, Enrolled: true}:     outcomeDone,
		{Unreadable: 1, NeedsPIN: 1, Outdated: 100}: string(errcodes.ReasonAnswerUnreadable),
	} {
		if got := did.word(); got != want {
			t.Errorf("%+v: %q, want %q", did, got, want)
		}
	}
}

// TestAnswersThatMoveNoDevice: an answer moves a device on that the account has, unless it is the first one to an activation.
func TestAnswersThatMoveNoDevice(t *testing.T) {
	t.Parallel()
	r := enrolledRecord()
	for exchange, want := range map[inwebo.Exchange]bool{
		inwebo.ExchangeOTPFinalize: true, inwebo.ExchangeMSFinalize: true, inwebo.ExchangeActivateFinalize: false,
	} {
		answer := UnreadAnswer{Exchange: exchange, Step: r.Step}
		if _, got := r.movedOn(answer, inwebo.Reading{}, epoch); got != want {
			t.Errorf("%s: it moves the device: %v, want %v", exchange, got, want)
		}
		if _, got := (Record{Step: r.Step}).movedOn(answer, inwebo.Reading{}, epoch); got {
			t.Errorf("%s: it moves a device that is not there", exchange)
		}
	}
	r.Unread = []UnreadAnswer{{Exchange: inwebo.ExchangeOTPFinalize, Step: r.Step, Answer: secret.NewBytes([]byte("no document"))}}
	if _, did := r.reread(epoch, "name"); did != (Reread{Unread: 1, Unreadable: 1}) {
		t.Errorf("of no document: %+v", did)
	}
}

// TestConfirmed: an accepted proof ends what is open about a device, and forgets the answers of an account that has none.
func TestConfirmed(t *testing.T) {
	t.Parallel()
	unread := []UnreadAnswer{{Step: 1}}
	if got := (Record{Unread: unread}).confirmed(); got.Unread != nil {
		t.Errorf("without a device: %+v", got)
	}
	for _, device := range []Device{{}, {Unconfirmed: true}, {Fallback: &Fallback{}}} {
		r := Record{Device: &device, Unread: unread}
		if got := r.confirmed(); got.Unread != nil || got.Device.Unconfirmed || got.Device.Fallback != nil {
			t.Errorf("of %+v: %+v", device, got)
		}
	}
}

// TestJittered: a pause is half as long at least, and never longer.
func TestJittered(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if got := jittered(firstPause); got < firstPause/2 || got > firstPause {
			t.Fatalf("%v becomes %v", firstPause, got)
		}
	}
}

// TestAnswersThatCompleteAnEnrollment: it is the answer to the ms finalize of an activation, at the record's step.
func TestAnswersThatCompleteAnEnrollment(t *testing.T) {
	t.Parallel()
	activated := &Enrollment{Phase: PhaseActivated}
	for name, tc := range map[string]struct {
		exchange   inwebo.Exchange
		step       uint64
		enrollment *Enrollment
		want       bool
	}{
		"its answer":       {inwebo.ExchangeMSFinalize, 3, activated, true},
		"another exchange": {inwebo.ExchangeOTPFinalize, 3, activated, false},
		"another step":     {inwebo.ExchangeMSFinalize, 2, activated, false},
		"no enrollment":    {inwebo.ExchangeMSFinalize, 3, nil, false},
		"not activated":    {inwebo.ExchangeMSFinalize, 3, &Enrollment{Phase: PhaseEnrolling}, false},
	} {
		r := Record{Step: 3, Enrollment: tc.enrollment}
		if got := r.isCompletedBy(UnreadAnswer{Exchange: tc.exchange, Step: tc.step}); got != tc.want {
			t.Errorf("%s: it completes the enrollment: %v, want %v", name, got, tc.want)
		}
	}
}
