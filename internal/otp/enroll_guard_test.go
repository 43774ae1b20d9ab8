package otp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// enrollAs enrolls the account with that PIN, without a pause after a wrong one.
func (e *enrollee) enrollAs(t testing.TB, client otp.Inwebo, pin secret.Text) error {
	t.Helper()
	atOnce := limits()
	atOnce.Guard.Pause = 0
	service := otp.New(e.memory, client, atOnce, nil)
	defer drained(t, service)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: ownersCode, PIN: pin, Replace: true})
	return err
}

var ownersCode = secret.NewText("abcd1234")

// owner is an account that has a PIN at inWebo.
func owner(t testing.TB) *enrollee {
	t.Helper()
	e := newEnrollee(t, usual)
	must(t, e.sim.AddAccount(inwebosim.Account{Login: "owner", PIN: rightPIN.Reveal(), Codes: []inwebosim.Code{{Value: ownersCode.Reveal()}}}))
	return e
}

// Where the account has a PIN, an enrollment takes a guess of it: inWebo sees no more wrong ones than the guard allows,
// and the right one enrolls after an unlock.
func TestEnrollmentTakesAGuess(t *testing.T) {
	t.Parallel()
	e := owner(t)
	client := wire(t, e.sim.ProtocolURL(), time.Minute)
	for range 2 {
		if err := e.enrollAs(t, client, wrongPIN); !errors.Is(err, otp.ErrPINRefused) {
			t.Fatalf("a wrong PIN: %v", err)
		}
	}
	activations := e.record(t).Activations
	for _, pin := range []secret.Text{wrongPIN, rightPIN} {
		if err := e.enrollAs(t, client, pin); !errors.Is(err, otp.ErrPINLocked) {
			t.Errorf("after two wrong PINs: %v", err)
		}
	}
	if r := e.record(t); r.Guard.Wrong != 2 || len(r.Guard.Attempts) != 0 || r.Activations != activations || r.Lease != nil {
		t.Errorf("two wrong PINs and two held back leave %+v", r)
	}
	if sent := len(e.sim.History(activateFinalize.match)); sent != 2 {
		t.Errorf("inWebo has seen %d PINs, want 2", sent)
	}
	service := otp.New(e.memory, client, limits(), nil)
	must(t, service.Unlock(t.Context(), e.request()))
	must(t, e.enrollAs(t, client, rightPIN))
	if r := e.record(t); r.Guard.Wrong != 0 || len(r.Guard.Attempts) != 0 {
		t.Errorf("a completed enrollment leaves the guard %+v", r.Guard)
	}
}

// A pause after a wrong PIN holds for an enrollment, too, and tells how long.
func TestEnrollmentWaitsOutThePause(t *testing.T) {
	t.Parallel()
	e := owner(t)
	service := otp.New(e.memory, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	enroll := func() error {
		_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: ownersCode, PIN: wrongPIN})
		return err
	}
	_ = enroll()
	err := enroll()
	if _, waits := errors.AsType[*otp.RetryAfterError](err); !errors.Is(err, otp.ErrPINHeldBack) || !waits {
		t.Errorf("right after a wrong PIN: %v", err)
	}
}

// What becomes of the guess: an answer returns it back or counts it, a lost one keeps it taken, and it is durable before the
// finalize leaves.
func TestWhatBecomesOfAnEnrollmentsGuess(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault          inwebosim.Fault
		at             stage
		wrong, guesses int
	}{
		"SMS code refused":     {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:CODE"}, activateFinalize, 0, 0},
		"PIN refused":          {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:ACCESS"}, activateFinalize, 1, 0},
		"answer lost":          {inwebosim.Fault{Kind: inwebosim.KindLostAnswer}, activateFinalize, 0, 1},
		"refused for nothing":  {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:PIN"}, activateFinalize, 0, 1},
		"PIN refused later":    {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:ACCESS"}, msFinalize, 1, 0},
		"answer lost later":    {inwebosim.Fault{Kind: inwebosim.KindLostAnswer}, msFinalize, 0, 1},
		"setup refused":        {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:CODE"}, activateSetup, 0, 0},
		"SMS code of a setup":  {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:SN"}, activateSetup, 0, 0},
		"refused for its form": {inwebosim.Fault{Kind: inwebosim.KindErr, Err: "NOK:PINREFUSED"}, activateFinalize, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := owner(t)
			row.fault.Match = row.at.match
			must(t, e.sim.Plant(row.fault))
			if err := e.enrollAs(t, wire(t, e.sim.ProtocolURL(), time.Minute), rightPIN); err == nil {
				t.Fatal("enrolled")
			}
			if g := e.record(t).Guard; g.Wrong != row.wrong || len(g.Attempts) != row.guesses {
				t.Errorf("the guard is %+v", g)
			}
		})
	}
}

func TestEnrollmentsGuessIsDurableFirst(t *testing.T) {
	t.Parallel()
	e := owner(t)
	var guesses int
	client := &enrolleeClient{Inwebo: wire(t, e.sim.ProtocolURL(), time.Minute), at: inwebo.ExchangeActivateFinalize, then: func() {
		guesses = len(e.record(t).Guard.Attempts)
	}}
	must(t, e.enrollAs(t, client, rightPIN))
	if guesses != 1 {
		t.Errorf("%d guesses were stored when the PIN had been sent", guesses)
	}
}

// An account that chooses its PIN with the enrollment has none that could be guessed.
func TestEnrollmentWithANewPINTakesNoGuess(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	must(t, e.sim.Plant(inwebosim.Fault{Kind: inwebosim.KindLostAnswer, Match: activateFinalize.match}))
	if err := e.enroll(t, limits(), otp.EnrollRequest{}); err == nil {
		t.Fatal("enrolled")
	}
	if g := e.record(t).Guard; len(g.Attempts) != 0 {
		t.Errorf("the guard is %+v", g)
	}
}

// A record that was sealed again between hold and guess does not cost the enrollment.
func TestEnrollmentWhoseRecordIsSealedAgain(t *testing.T) {
	t.Parallel()
	e := owner(t)
	client := &enrolleeClient{Inwebo: wire(t, e.sim.ProtocolURL(), time.Minute), at: inwebo.ExchangeActivateSetup, then: func() {
		e.changeRecord(t, func(*otp.Record) {})
	}}
	must(t, e.enrollAs(t, client, rightPIN))
}

// An enrollment whose process died leaves no doubt where there is no device, neither in the record nor in a count.
func TestNoDoubtWithoutADevice(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	m := newMortal(t, e, "before activate_finalize")
	_, _ = m.service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
	<-m.buried
	r := e.record(t)
	if r.Lease == nil {
		t.Fatalf("no hold is left: %+v", r)
	}
	later := r.Lease.Until.Add(time.Second)
	row := e.row(t)
	if r.InDoubt(later) || row.InDoubt || !row.LeasedUntil.IsZero() {
		t.Errorf("in doubt %v; the row %v, held until %v", r.InDoubt(later), row.InDoubt, row.LeasedUntil)
	}
	clock := e.later()
	service := otp.New(clock, wire(t, e.sim.ProtocolURL(), time.Minute), limits(), nil)
	defer drained(t, service)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: secret.NewText("nosuchcode"), PIN: rightPIN})
	if r = e.record(t); err == nil || r.Doubt != nil {
		t.Errorf("after another enrollment that failed (%v): %+v", err, r)
	}
	if status, err := service.Status(t.Context(), e.account); err != nil || status.InDoubt {
		t.Errorf("the status is %+v (%v)", status, err)
	}
}

// An enrollment that breaks off after its first half leaves the account with its old device: the wrong PINs that inWebo has
// counted of that still count.
func TestHalfAnEnrollmentForgivesNothing(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	must(t, m.service.Import(t.Context(), m.as("alice"), m.found))
	for range 2 {
		_ = m.issue(t, "alice", wrongPIN)
	}
	noAnswer := silences(m.sim)[2].simFault // an answer is lost
	noAnswer.Match = msFinalize.match
	must(t, m.sim.Plant(noAnswer))
	_, err := m.service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
	if !errors.Is(err, otp.ErrUnreachable) {
		t.Fatalf("an enrollment whose last answer is lost: %v", err)
	}
	if err := m.issue(t, "alice", wrongPIN); !errors.Is(err, otp.ErrPINLocked) {
		t.Errorf("a wrong PIN with the old device: %v", err)
	}
	if wrong := m.truth(t).WrongInARow; wrong != 2 {
		t.Errorf("inWebo counts %d wrong PINs", wrong)
	}
	_, err = m.service.Enroll(t.Context(), m.as("alice"), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: true})
	must(t, err)
	must(t, m.issue(t, "alice", rightPIN))
}

// delayed is a client that waits between setup and finalize of an OTP.
type delayed struct {
	otp.Inwebo
	waits, goOn chan struct{}
}

func (h *delayed) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	close(h.waits)
	<-h.goOn
	return h.Inwebo.OTPFinalize(ctx, who, sid, p)
}

// A completed enrollment does not forget the guess of a conversation that has lost its lease and may yet send its PIN.
func TestEnrollmentKeepsTheGuessOfAnOvertakenConversation(t *testing.T) {
	t.Parallel()
	e := owner(t)
	client := wire(t, e.sim.ProtocolURL(), time.Minute)
	must(t, e.enrollAs(t, client, rightPIN))
	atOnce := limits()
	atOnce.Guard.Pause = 0
	clock := &shifted{Store: e.memory}
	sleeping := &delayed{Inwebo: client, waits: make(chan struct{}), goOn: make(chan struct{})}
	sleeper, service := otp.New(clock, sleeping, atOnce, nil), otp.New(clock, client, atOnce, nil)
	callerErr := make(chan error, 1)
	go func() {
		_, err := sleeper.IssueOTP(t.Context(), e.request(), wrongPIN)
		callerErr <- err
	}()
	<-sleeping.waits
	clock.advance(limits().Deadline + otp.HoldMargin)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: ownersCode, PIN: rightPIN, Replace: true})
	must(t, err)
	for range 2 {
		_, _ = service.IssueOTP(t.Context(), e.request(), wrongPIN)
	}
	close(sleeping.goOn)
	if err := <-callerErr; err == nil {
		t.Error("a wrong PIN got an OTP")
	}
	e.mustBeUnblocked(t)
}

// slept is a client that waits between the last answer of an enrollment and its settle.
type slept struct {
	otp.Inwebo
	waits, goOn chan struct{}
}

func (s *slept) MSFinalize(ctx context.Context, who inwebo.Identity, secrets []inwebo.ServiceSecret, p ratchet.Proofs) (inwebo.Finalized, error) {
	answer, err := s.Inwebo.MSFinalize(ctx, who, secrets, p)
	close(s.waits)
	<-s.goOn
	return answer, err
}

// mustBeUnblocked wants that inWebo has never counted more than two wrong PINs.
func (e *enrollee) mustBeUnblocked(t *testing.T) {
	t.Helper()
	if truth, err := e.sim.AccountState("owner"); err != nil || truth.Guesses.Peak > 2 {
		t.Errorf("inWebo counts %+v (%v)", truth.Guesses, err)
	}
}

// mustBlockNothing sends wrong PINs until none is forwarded, and wants that inWebo has counted two.
func (e *enrollee) mustBlockNothing(t *testing.T, service *otp.Service) {
	t.Helper()
	for range 3 {
		_, _ = service.IssueOTP(t.Context(), e.request(), wrongPIN)
	}
	e.mustBeUnblocked(t)
}

// An enrollment that is settled late, after others had the lease, does not forgive the wrong PINs that came after it.
func TestLateEnrollmentForgivesNothingThatCameAfterIt(t *testing.T) {
	t.Parallel()
	e := owner(t)
	client := wire(t, e.sim.ProtocolURL(), time.Minute)
	must(t, e.enrollAs(t, client, rightPIN))
	atOnce := limits()
	atOnce.Guard.Pause = 0
	clock := &shifted{Store: e.memory}
	sleeping := &slept{Inwebo: client, waits: make(chan struct{}), goOn: make(chan struct{})}
	sleeper, service := otp.New(clock, sleeping, atOnce, nil), otp.New(clock, client, atOnce, nil)
	callerErr := make(chan error, 1)
	go func() {
		_, err := sleeper.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: ownersCode, PIN: rightPIN, Replace: true})
		callerErr <- err
	}()
	<-sleeping.waits
	clock.advance(otp.EnrollmentDeadlines*limits().Deadline + otp.HoldMargin)
	_, _ = service.IssueOTP(t.Context(), e.request(), wrongPIN)
	close(sleeping.goOn)
	must(t, <-callerErr)
	e.mustBlockNothing(t, service)
}

// Neither does an enrollment that is completed by reading a kept answer again.
func TestRereadEnrollmentForgivesNothingThatCameAfterIt(t *testing.T) {
	t.Parallel()
	e := owner(t)
	client := wire(t, e.sim.ProtocolURL(), time.Minute)
	must(t, e.enrollAs(t, client, rightPIN))
	err := e.enrollAs(t, &unreadAt{client, inwebo.ExchangeMSFinalize, false}, rightPIN)
	if otp.CauseOf(err) != otp.ErrUnreadable {
		t.Fatal(err)
	}
	atOnce := limits()
	atOnce.Guard.Pause = 0
	service := otp.New(e.memory, client, atOnce, nil)
	defer drained(t, service)
	_, _ = service.IssueOTP(t.Context(), e.request(), wrongPIN)
	if did := e.reread(t); !did.Enrolled {
		t.Fatalf("reading it again did %+v", did)
	}
	if r := e.record(t); len(r.Guard.Attempts) != 0 {
		t.Errorf("the guess of the enrollment itself stays taken: %+v", r.Guard)
	}
	e.mustBlockNothing(t, service)
}
