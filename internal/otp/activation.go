package otp

import (
	"cmp"
	"context"
	"errors"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// activation enrolls one device: it makes three exchanges, and makes durable what each has changed before the next.
type activation struct {
	service *Service
	call    *conversation
	enroll  EnrollRequest
	serial  ratchet.Serial
	kma     ratchet.Kma
	hasPIN  bool // inWebo compares the PIN with the account's own
	spent   bool // inWebo has accepted the SMS code
}

func (a *activation) run(ctx context.Context) error {
	a.serial = a.call.record.Serial
	a.kma = ratchet.NewKma(a.enroll.PIN, a.serial)
	kfact, kiw, err := a.open(ctx)
	if err != nil {
		return err
	}
	if a.hasPIN {
		if err := a.takeAttempt(ctx); err != nil {
			return a.fail(outcome{result: neverSent, err: err})
		}
	}
	answer, fresh, err := a.activate(ctx, kiw)
	if err != nil {
		return err
	}
	return a.deliverSecret(ctx, kfact, answer, fresh)
}

// open makes the activate setup. It returns Kfact, and Kiw unsealed.
func (a *activation) open(ctx context.Context) (kfact, kiw ratchet.PublicKey, err error) {
	a.tell(StepOpen)
	setup, err := a.service.inwebo.ActivateSetup(ctx, a.enroll.SMSCode)
	if err != nil {
		return kfact, kiw, a.fail(asNeverSent(blameSMSCode(setupFailed(err))))
	}
	if kfact, err = ratchet.ParsePublicKey(setup.Kfact); err == nil {
		kiw, err = kfact.UnsealKey(setup.Kiw)
	}
	if err != nil {
		return kfact, kiw, a.fail(notUnderstood(neverSent, err))
	}
	a.hasPIN = setup.PINMode&inwebo.PINExisting != 0
	if setup.PINMode&(inwebo.PINExisting|inwebo.PINNew) == 0 && !a.enroll.PINAnyway {
		return kfact, kiw, a.fail(notUnderstood(neverSent, ErrNoPINAsked))
	}
	return kfact, kiw, nil
}

// ErrNoPINAsked means that inWebo neither asks for the account's PIN nor lets it choose one. It is not known what it does with a PIN then,
// so the enrollment ends while the SMS code is not spent.
var ErrNoPINAsked = errors.New("inWebo asks for no PIN for this account (pinmode has neither 1 nor 2)")

// takeAttempt takes an attempt of the PIN guard, durably, before the activate finalize shows the PIN to inWebo: where the account has
// a PIN already, a wrong one counts like that of an OTP (docs/protocol.md §3). It writes over the row as this conversation last wrote it.
// If that was changed, for example for another sealing key, it writes over the row as it is now, unless the lease is lost.
func (a *activation) takeAttempt(ctx context.Context) error {
	err := a.writeAttempt(ctx, a.call.record, a.call.body)
	if !errors.Is(err, ErrConflict) {
		return err
	}
	found, err := a.service.fetch(ctx, a.call)
	switch {
	case err != nil:
		return wrapCause(ErrStore, err)
	case !found.isLeasedBy(a.call.id):
		return wrapCause(ErrStore, ErrConflict)
	default:
		return a.writeAttempt(ctx, found, a.call.fetchedBody)
	}
}

// writeAttempt stores the record base, whose row has that body, with the attempt.
func (a *activation) writeAttempt(ctx context.Context, base Record, body []byte) error {
	next := base
	next.Revision++
	guard, err := next.Guard.take(a.call.id, a.call.reading(), a.service.limits.Guard)
	if err != nil {
		return err
	}
	next.Guard = guard
	w, err := a.call.writeOf(a.call.nextWriteID(), &base, &next, StageAttempt, "")
	if err == nil {
		w.Over = body
		err = a.service.writeVerified(ctx, CommitLease, w)
	}
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	a.call.record, a.call.body = next, w.Row.Body
	return nil
}

// activate makes the activate finalize, and stores its outcome before the next exchange. It returns the answer, and the device as the
// answer left it.
func (a *activation) activate(ctx context.Context, kiw ratchet.PublicKey) (answer inwebo.ActivateFinalize, fresh Device, err error) {
	a.tell(StepActivate)
	request, drawn, err := a.activationRequest(kiw)
	if err != nil {
		return answer, fresh, a.fail(notUnderstood(neverSent, err))
	}
	if !hasTime(ctx, 2*a.service.limits.FinalizeTimeout) { // for the ms finalize, too
		return answer, fresh, a.fail(outcome{result: neverSent, err: ErrLate})
	}
	if answer, err = a.service.inwebo.ActivateFinalize(ctx, request); err != nil {
		return answer, fresh, a.fail(finalizeFailed(err))
	}
	a.spent = true
	if err := usable(answer); err != nil { // inWebo has activated a device with which no OTP can be made: that is no usable answer
		return answer, fresh, a.fail(outcome{result: noAnswer, err: err})
	}
	fresh = Device{Origin: a.call.id, Identity: inwebo.Unactivated(), Services: a.knownServices()}.
		synced(answer.Sync, ratchet.State{Secret: drawn, Unproven: answer.Sync.Move})
	const last = false // the ms finalize follows
	return answer, fresh, a.service.settle(a.call, ofAnswer(answer.Finalized, activated{fresh, answer.Challenge}), last)
}

// knownServices returns the services of the device that the enrollment replaces, for an answer whose list does not add up.
// A first enrollment knows none.
func (a *activation) knownServices() []inwebo.Service {
	if a.call.record.Device == nil {
		return nil
	}
	return a.call.record.Device.Services
}

// usable returns why an activation cannot go on, or nil. Proofs that are made without keys would be refused like those of a wrong PIN, and
// after three of those inWebo blocks an account.
func usable(answer inwebo.ActivateFinalize) error {
	switch {
	case len(answer.MSIDs) == 0:
		return ErrNoSecret
	case answer.Sync.ID == "" || answer.Sync.Move.K0.IsEmpty() || answer.Sync.Move.K1.IsEmpty():
		return wrapCause(ErrNotUnderstood, errHalfActivated)
	default:
		return nil
	}
}

var errHalfActivated = errors.New("inWebo activated a device without an id and both keys")

// activationRequest returns what the activate finalize sends, and the device secret, which it draws.
func (a *activation) activationRequest(kiw ratchet.PublicKey) (request inwebo.Activation, drawn secret.Bytes, err error) {
	request = inwebo.Activation{Code: a.enroll.SMSCode, Serial: a.serial, Proofs: ratchet.ActivationProofs(a.serial)}
	if drawn, err = ratchet.NewSecret(a.service.random); err != nil {
		return request, drawn, err
	}
	if request.Kma, err = a.kma.EncryptFor(kiw, a.service.random); err != nil {
		return request, drawn, err
	}
	request.PIN, err = kiw.Encrypt(a.service.random, secret.NewBytes([]byte(a.enroll.PIN.Reveal())))
	return request, drawn, err
}

// deliverSecret makes the ms finalize. The enrollment is complete when inWebo accepted it and the store has it.
//
// The state of the device goes through three forms: fresh is that of the activate finalize, whose keys may be encrypted under the PIN;
// opened are its keys, decrypted with the PIN, which the proofs are made with; and Accepted returns the state after a proof with them.
func (a *activation) deliverSecret(
	ctx context.Context, kfact ratchet.PublicKey, answer inwebo.ActivateFinalize, fresh Device,
) error {
	a.tell(StepSecret)
	secrets, err := a.sealSecrets(kfact, answer, fresh.State.Secret)
	if err != nil {
		return a.fail(notUnderstood(noAnswer, err))
	}
	if !hasTime(ctx, a.service.limits.FinalizeTimeout) {
		return a.fail(outcome{result: noAnswer, err: ErrLate})
	}
	opened := fresh.State.Open(a.kma)
	final, err := a.service.inwebo.MSFinalize(ctx, fresh.Identity, secrets, ratchet.Prove(answer.Challenge, opened, a.serial, a.enroll.PIN))
	o := outcome{result: accepted}
	if err != nil {
		o = finalizeFailed(err)
	}
	if o.result != accepted && o.result != effectUnknown {
		return a.fail(o)
	}
	// A refusal of unknown effect: inWebo has done what was asked, and the device has its secret. Its state is that of the refusal.
	if refusal, isRefusal := errors.AsType[*inwebo.Refusal](err); isRefusal {
		final = inwebo.Finalized{Sync: refusal.Sync}
	}
	device := fresh.synced(final.Sync, fresh.State.Accepted(opened, final.Sync.Move))
	device.Name = a.service.limits.DeviceName
	// Every OTP is asked for a service (docs/protocol.md §6), and no later answer could name one without an OTP.
	if len(device.Services) == 0 {
		o.result, o.err = noAnswer, cmp.Or(o.err, ErrNoService)
		return a.fail(o)
	}
	a.tell(StepStore)
	if o.result == accepted {
		o = ofAnswer(final, enrolled{device: device})
	} else {
		o.change = enrolled{device: device, inDoubt: true}
	}
	return a.service.settle(a.call, o, true)
}

// sealSecrets encrypts the device secret to each service. MSIDs and MSKeys belong together by position, and inwebo has checked that they
// are of equal length.
func (a *activation) sealSecrets(
	kfact ratchet.PublicKey, answer inwebo.ActivateFinalize, drawn secret.Bytes,
) ([]inwebo.ServiceSecret, error) {
	secrets := make([]inwebo.ServiceSecret, len(answer.MSIDs))
	for i, id := range answer.MSIDs {
		key, err := kfact.UnsealKey(answer.MSKeys[i])
		if err != nil {
			return nil, err
		}
		sealed, err := key.Encrypt(a.service.random, drawn)
		if err != nil {
			return nil, err
		}
		secrets[i] = inwebo.ServiceSecret{ID: id, Value: sealed}
	}
	return secrets, nil
}

func (a *activation) tell(step EnrollmentStep) {
	if a.enroll.Progress != nil {
		a.enroll.Progress(step)
	}
}

// fail settles an enrollment that ends here, and returns what the caller is told. State that the answer carries is that of the device
// that was not enrolled, so it changes nothing: a device that the account already has stays as it is.
func (a *activation) fail(o outcome) error {
	o.change = nil
	if o.result == refused {
		o.unread = nil
	}
	// With these two errors alone, the caller would try the same SMS code again. Any other error says what to do about it.
	gotNoAnswer := errors.Is(o.err, ErrUnreachable) || errors.Is(o.err, ErrLate)
	if mayBeSpent := a.spent || o.result == noAnswer; gotNoAnswer && mayBeSpent {
		o.err = wrapCause(ErrActivationLost, o.err)
	}
	return a.service.settle(a.call, o, true)
}
