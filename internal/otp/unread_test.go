package otp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// issueOnce asks for an OTP in a process of its own, whose finalizes meet the mishap, without a pause after a wrong PIN.
func (d *device) issueOnce(t testing.TB, happens mishap, pin secret.Text) (otp.Issued, error) {
	t.Helper()
	client := newBridge(d.sim)
	client.meddle = onFinalize(happens)
	atOnce := generous()
	atOnce.Guard.Pause = 0
	service := otp.New(d.memory, client, atOnce, nil)
	defer drained(t, service)
	return service.IssueOTP(t.Context(), d.request(), pin)
}

// reread reads the kept answers of the device again.
func (d *device) reread(t testing.TB) otp.Reread {
	t.Helper()
	service := otp.New(d.memory, newBridge(d.sim), limits(), nil)
	defer drained(t, service)
	did, err := service.Reread(t.Context(), d.request())
	must(t, err)
	return did
}

// mustKeep wants that so many answers are kept, and that row and status say so.
func (d *device) mustKeep(t testing.TB, want int) {
	t.Helper()
	rows, err := d.memory.List(t.Context(), "", 10)
	must(t, err)
	status, err := otp.New(d.memory, nil, limits(), nil).Status(t.Context(), d.account)
	must(t, err)
	if len(rows) != 1 || rows[0].UnreadAnswers != want || status.UnreadAnswers != want || len(d.record(t).Unread) != want {
		t.Errorf("%+v rows, %d in the status, and %d in the record; want %d", rows, status.UnreadAnswers, len(d.record(t).Unread), want)
	}
}

// An accepted answer that cannot be read is kept. A pimsd that can read it recovers the step without a PIN; the device is
// in doubt until inWebo accepts it, and the answer is gone then.
func TestAnUnreadAnswerIsRecovered(t *testing.T) {
	t.Parallel()
	for mode, sim := range simulators(t) {
		for _, movement := range movements {
			t.Run(fmt.Sprintf("%s/%s", mode, movement), func(t *testing.T) {
				t.Parallel()
				d := plant(t, sim, inwebosim.Override{Ratchet: movement})
				if _, err := d.issueOnce(t, fine, wrongPIN); !errors.Is(err, otp.ErrPINRefused) {
					t.Fatal(err)
				}
				if _, err := d.issueOnce(t, unread, rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
					t.Errorf("told %v", err)
				}
				r := d.record(t)
				if r.Step != 0 || r.Doubt == nil || r.Guard.Wrong != 0 || len(r.Guard.Attempts) != 0 || r.Lease != nil {
					t.Errorf("it leaves %+v", r)
				}
				d.mustKeep(t, 1)
				mustHaveLines(t, d, "attempt", "outcome: pin_refused", "attempt", "outcome: answer_unreadable")

				if did := d.reread(t); did != (otp.Reread{Unread: 1, Applied: 1}) {
					t.Errorf("reading it again did %+v", did)
				}
				if r = d.record(t); r.Step != 1 || r.Doubt == nil || !d.inStep(t) {
					t.Errorf("after that: in step %v, %+v", d.inStep(t), r)
				}
				d.mustKeep(t, 1)
				if did := d.reread(t); did != (otp.Reread{Unread: 1, Applied: 1}) || !d.inStep(t) {
					t.Errorf("once more did %+v, in step %v", did, d.inStep(t))
				}
				issued, err := d.issueOnce(t, fine, rightPIN)
				mustVerify(t, d, issued, err)
				if r = d.record(t); r.Doubt != nil || r.Device.Fallback != nil || !d.inStep(t) {
					t.Errorf("after an OTP: in step %v, %+v", d.inStep(t), r)
				}
				d.mustKeep(t, 0)
				if did := d.reread(t); did != (otp.Reread{}) {
					t.Errorf("with nothing kept it did %+v", did)
				}
			})
		}
	}
}

// For one step, what says OK is kept rather than what does not, then what is whole, and then what is newer.
func TestTheBetterAnswerOfAStepIsKept(t *testing.T) {
	t.Parallel()
	answer := func(text string, accepted, cut bool) *inwebo.Unreadable {
		return &inwebo.Unreadable{Exchange: inwebo.ExchangeOTPFinalize, Answer: secret.NewBytes([]byte(text)), Accepted: accepted, Cut: cut}
	}
	for name, test := range map[string]struct {
		first, second *inwebo.Unreadable
		want          string
	}{
		"whole, then cut":   {answer("first", false, false), answer("second", false, true), "first"},
		"cut, then whole":   {answer("first", false, true), answer("second", false, false), "second"},
		"cut, then cut":     {answer("first", false, true), answer("second", false, true), "second"},
		"whole, then newer": {answer("first", false, false), answer("second", false, false), "second"},
		"whole, then OK":    {answer("first", false, false), answer("second", true, true), "second"},
		"OK, then whole":    {answer("first", true, true), answer("second", false, false), "first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := plant(t, started(t, func(*inwebosim.Knobs) {}), inwebosim.Override{})
			for _, err := range []*inwebo.Unreadable{test.first, test.second} {
				service := otp.New(d.memory, &failingFinalize{newBridge(d.sim), err}, limits(), nil)
				if _, err := service.IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
					t.Errorf("told %v", err)
				}
				drained(t, service)
			}
			d.mustKeep(t, 1)
			if kept := d.record(t).Unread[0]; string(kept.Answer.Reveal()) != test.want {
				t.Errorf("kept the %s one: %+v", kept.Answer.Reveal(), kept)
			}
		})
	}
}

// failingFinalize is a client whose finalizes of OTPs end with err.
type failingFinalize struct {
	otp.Inwebo
	err error
}

func (f *failingFinalize) OTPFinalize(context.Context, inwebo.Identity, string, ratchet.Proofs) (inwebo.OTPFinalize, error) {
	return inwebo.OTPFinalize{}, f.err
}

// Unless err itself can be read, the PIN may have been wrong: the guess stays taken, and so does the unit.
func TestAnAnswerThatSaysNothing(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	client := newBridge(sim)
	client.meddle = onFinalize(unreadAtAll)
	if _, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
		t.Errorf("told %v", err)
	}
	d.mustRemain(t, remains{doubt: true, guesses: 1, units: 1, finalizes: 1}, false)
	d.mustKeep(t, 1)
	if did := d.reread(t); did.Applied != 1 {
		t.Errorf("reading it again did %+v", did)
	}
	d.mustGoOn(t, newBridge(sim), false)
}

// A refusal whose step cannot be used keeps its own cause; the answer is kept, and the device is in doubt.
func TestARefusalWithAnUnusableStep(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	if _, err := d.issueOnce(t, unread, wrongPIN); otp.CauseOf(err) != otp.ErrPINRefused {
		t.Errorf("told %v", err)
	}
	if r := d.record(t); r.Doubt == nil || r.Guard.Wrong != 1 || r.Step != 0 {
		t.Errorf("it leaves %+v", r)
	}
	d.mustKeep(t, 1)
	if did := d.reread(t); did != (otp.Reread{Unread: 1, Refusals: 1}) {
		t.Errorf("reading it again did %+v", did)
	}
	issued, err := d.issueOnce(t, fine, rightPIN)
	mustVerify(t, d, issued, err)
	d.mustKeep(t, 0)
}

// An answer that is read wrongly costs nothing: refused with its keys, the next call tries those from before.
func TestARereadStepThatIsWrong(t *testing.T) {
	t.Parallel()
	for mode, sim := range simulators(t) {
		if mode == inwebosim.LostFinalizeLenient {
			continue // takes both
		}
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			d := plant(t, sim, inwebosim.Override{})
			client := &otherStep{newBridge(sim)}
			if _, err := otp.New(d.memory, client, limits(), nil).IssueOTP(t.Context(), d.request(), rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
				t.Fatal(err)
			}
			if did := d.reread(t); did.Applied != 1 || d.inStep(t) {
				t.Fatalf("reading it again did %+v, in step %v", did, d.inStep(t))
			}
			if _, err := d.issueOnce(t, fine, rightPIN); otp.CauseOf(err) != otp.ErrInDoubt {
				t.Errorf("with the wrong keys: %v", err)
			}
			if !d.inStep(t) {
				t.Error("the state from before is not back")
			}
			if did := d.reread(t); did.Applied != 1 || d.inStep(t) {
				t.Errorf("a newer reading does %+v, in step %v", did, d.inStep(t))
			}
			_, _ = d.issueOnce(t, requestLost, rightPIN) // decides nothing
			if d.inStep(t) {
				t.Error("a lost request changes the keys")
			}
			must(t, otp.New(d.memory, nil, limits(), nil).Unlock(t.Context(), d.request()))
			if _, err := d.issueOnce(t, fine, rightPIN); otp.CauseOf(err) != otp.ErrInDoubt {
				t.Errorf("with the wrong keys again: %v", err)
			}
			must(t, otp.New(d.memory, nil, limits(), nil).Unlock(t.Context(), d.request()))
			must(t, sim.Unblock(d.id))
			issued, err := d.issueOnce(t, fine, rightPIN)
			mustVerify(t, d, issued, err)
		})
	}
}

// otherStep answers a finalize that inWebo never saw with a step that it never made.
type otherStep struct{ otp.Inwebo }

func (o *otherStep) OTPFinalize(context.Context, inwebo.Identity, string, ratchet.Proofs) (inwebo.OTPFinalize, error) {
	answer := "<ActionFinalize><err>OK</err><K1>" + strings.Repeat("ab", 16) + "</K1></ActionFinalize>"
	return inwebo.OTPFinalize{}, &inwebo.Unreadable{Exchange: inwebo.ExchangeOTPFinalize, Accepted: true, Answer: secret.NewBytes([]byte(answer))}
}

// An answer moves a device on only from the step that it was an answer to.
func TestAnOutdatedAnswerIsNotApplied(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	if _, err := d.issueOnce(t, unread, rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
		t.Fatal(err)
	}
	d.changeRecord(t, func(r *otp.Record) { r.Step++ })
	before := d.record(t)
	if did := d.reread(t); did != (otp.Reread{Unread: 1, Outdated: 1}) {
		t.Errorf("reading it again did %+v", did)
	}
	if r := d.record(t); r.Step != before.Step || !r.Device.State.Keys.K1.Equal(before.Device.State.Keys.K1) {
		t.Errorf("it changed the record: %+v", r)
	}
}

// Kept answers go with the device.
func TestForgettingADeviceForgetsItsAnswers(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	d := plant(t, sim, inwebosim.Override{})
	if _, err := d.issueOnce(t, unread, rightPIN); otp.CauseOf(err) != otp.ErrUnreadable {
		t.Fatal(err)
	}
	must(t, otp.New(d.memory, nil, limits(), nil).Forget(t.Context(), d.request()))
	d.mustKeep(t, 0)
}

// unreadAt is a client that cannot read the answer to one exchange of an enrollment.
type unreadAt struct {
	otp.Inwebo
	exchange inwebo.Exchange
	accepted bool // err can be read
}

// unreadable makes an answer of the fields that inWebo has sent.
func (u *unreadAt) unreadable(sync inwebo.Sync) error {
	text := "<ActionFinalize><err>OK</err>"
	for name, value := range map[string]string{"id": sync.ID, "Tsync": sync.LastSync, "K0": sync.Move.K0.Reveal(), "K1": sync.Move.K1.Reveal()} {
		text += "<" + name + ">" + value + "</" + name + ">"
	}
	for _, step := range sync.Move.DK1 {
		text += "<dK1>" + step.Reveal() + "</dK1>"
	}
	return &inwebo.Unreadable{Exchange: u.exchange, Accepted: u.accepted, Answer: secret.NewBytes([]byte(text + "</ActionFinalize>"))}
}

func (u *unreadAt) ActivateFinalize(ctx context.Context, a inwebo.Activation) (inwebo.ActivateFinalize, error) {
	answer, err := u.Inwebo.ActivateFinalize(ctx, a)
	if err == nil && u.exchange == inwebo.ExchangeActivateFinalize {
		return inwebo.ActivateFinalize{}, u.unreadable(answer.Sync)
	}
	return answer, err
}

func (u *unreadAt) MSFinalize(ctx context.Context, who inwebo.Identity, s []inwebo.ServiceSecret, p ratchet.Proofs) (inwebo.Finalized, error) {
	answer, err := u.Inwebo.MSFinalize(ctx, who, s, p)
	if err == nil && u.exchange == inwebo.ExchangeMSFinalize {
		return inwebo.Finalized{}, u.unreadable(answer.Sync)
	}
	return answer, err
}

// An ms finalize whose answer cannot be read has enrolled the device when it was accepted, and may have when that is not
// known: reading the answer again completes it then.
func TestAnUnreadAnswerToAnEnrollment(t *testing.T) {
	t.Parallel()
	for _, accepted := range []bool{true, false} {
		for _, movement := range movements {
			t.Run(fmt.Sprintf("accepted %v/%s", accepted, movement), func(t *testing.T) {
				t.Parallel()
				e := newEnrollee(t, func(k *inwebosim.Knobs) { k.Ratchet, k.SecretsMove = movement, true })
				client := &unreadAt{wire(t, e.sim.ProtocolURL(), time.Minute), inwebo.ExchangeMSFinalize, accepted}
				service := otp.New(e.memory, client, limits(), nil)
				defer drained(t, service)
				_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
				if otp.CauseOf(err) != otp.ErrUnreadable {
					t.Errorf("told %v", err)
				}
				if r := e.record(t); (r.Device != nil) != accepted || (r.Enrollment == nil) != accepted || accepted && r.Doubt == nil {
					t.Errorf("it leaves %+v", r)
				}
				e.mustKeep(t, 1)
				if did := e.reread(t); did != (otp.Reread{Unread: 1, Applied: 1, Enrolled: !accepted}) {
					t.Errorf("reading it again did %+v", did)
				}
				r := e.record(t)
				if r.Device == nil || r.Enrollment != nil || r.Doubt == nil || r.Device.EnrolledAt.IsZero() {
					t.Fatalf("after that: %+v", r)
				}
				e.id = r.Device.Identity.ID
				e.mustIssue(t)
				e.mustKeep(t, 0)
			})
		}
	}
}

// An activation whose answer cannot be read is kept, and cannot be gone on with: there is no PIN.
func TestAnUnreadAnswerToAnActivation(t *testing.T) {
	t.Parallel()
	e := newEnrollee(t, usual)
	client := &unreadAt{wire(t, e.sim.ProtocolURL(), time.Minute), inwebo.ExchangeActivateFinalize, true}
	service := otp.New(e.memory, client, limits(), nil)
	defer drained(t, service)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
	if r := e.record(t); otp.CauseOf(err) != otp.ErrUnreadable || r.Device != nil || r.Enrollment == nil || r.Enrollment.Phase != otp.PhaseEnrolling {
		t.Errorf("told %v, and it leaves %+v", err, r)
	}
	if did := e.reread(t); did != (otp.Reread{Unread: 1, NeedsPIN: 1}) {
		t.Errorf("reading it again did %+v", did)
	}
	e.mustEnroll(t, otp.EnrollRequest{})
	e.mustKeep(t, 0)
	e.mustHaveOneSerial(t)
}

// An answer that may have completed an enrollment stays of use while no later enrollment has reached inWebo.
func TestAFailedEnrollmentKeepsWhatAnEarlierOneMayHaveCompleted(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]inwebosim.Fault{
		"setup refused":    {Kind: inwebosim.KindErr, Err: "NOK:CODE", Match: activateSetup.match},
		"finalize refused": {Kind: inwebosim.KindErr, Err: "NOK:CODE", Match: activateFinalize.match},
		"finalize lost":    {Kind: inwebosim.KindLostRequest, Match: activateFinalize.match},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnrollee(t, usual)
			client := &unreadAt{wire(t, e.sim.ProtocolURL(), time.Minute), inwebo.ExchangeMSFinalize, false}
			service := otp.New(e.memory, client, generous(), nil)
			_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN})
			drained(t, service)
			if otp.CauseOf(err) != otp.ErrUnreadable {
				t.Fatalf("told %v", err)
			}
			must(t, e.sim.Plant(fault))
			if err := e.enroll(t, generous(), otp.EnrollRequest{}); err == nil {
				t.Error("the other enrollment is done")
			}
			e.sim.ClearFaults()
			if did := e.reread(t); did.Applied != 1 || !did.Enrolled {
				t.Fatalf("reading it again did %+v", did)
			}
			e.id = e.record(t).Device.Identity.ID
			e.mustIssue(t)
		})
	}
}
