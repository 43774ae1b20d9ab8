package otp

import (
	"errors"
	"time"
)

// settleParams is what applyOutcome must know of the conversation whose outcome it applies.
type settleParams struct {
	conversation string
	rounds       int     // rounds that inWebo accepted before this outcome
	enrolls      bool    // it enrolls a device
	last         bool    // it was going to send nothing more after this outcome
	written      *Record // the record as the conversation last wrote it
}

// settleParams returns the parameters for an outcome of the conversation.
func (c *conversation) settleParams(last bool) settleParams {
	return settleParams{
		conversation: c.id, rounds: c.rounds, enrolls: c.action == actionEnroll, last: last, written: &c.record,
	}
}

// settleFacts decide what a record keeps of an outcome, apart from the device, and what the caller is told. In each of the three tables
// the first row that fits decides.
//
// The words for an outcome are its result, or one of these: wrongPIN and mayCount are the flags of that name, with a refusal; the error
// of wrongPIN is ErrPINRefused. refusedState is a refusal with ErrState, ErrForbidden or ErrAccess. "other" is every outcome that no
// earlier row has decided; "any" is every value. "ends" is the result of that method.
//
//	outcome                  leased  ends  enrolls | attempt
//	wrongPIN                 any     any   any     | wrong
//	mayCount,noAnswer        any     any   any     | unanswered
//	accepted,effectUnknown   yes     yes   any     | forgiven
//	accepted,effectUnknown   yes     no    no      | forgivenAndKept
//	other                    any     yes   any     | released
//	other                    any     no    any     | kept
//
//	outcome                          ends  enrolls  rounds | issue     activation  enrollment
//	noAnswer,accepted,effectUnknown  any   any      any    | kept      kept        kept
//	other                            no    any      any    | kept      kept        kept
//	neverSent                        yes   yes      0      | released  released    dropped
//	other                            yes   yes      0      | released  kept        dropped
//	other                            yes   yes      1      | kept      kept        dropped
//	other                            yes   no       0      | released  kept        kept
//	other                            yes   no       1      | kept      kept        kept
//
//	outcome                superseded  leased  last  enrolls | callerErr
//	accepted               yes         any     any   any     | superseded
//	other                  any         no      no    any     | superseded
//	wrongPIN               any         no      yes   no      | inDoubt
//	refusedState           any         no      yes   no      | superseded
//	other                  any         any     any   any     | unchanged
//
// TestSettleTables walks all three.
type settleFacts struct {
	outcome outcome
	leased  bool // the record still has the lease of the conversation
	last    bool
	enrolls bool
	rounds  int
}

// factsAbout returns the facts that decide what r keeps of the outcome.
func (p settleParams) factsAbout(r *Record, o outcome) settleFacts {
	return settleFacts{outcome: o, leased: r.isLeasedBy(p.conversation), last: p.last, enrolls: p.enrolls, rounds: p.rounds}
}

// ends reports whether the conversation sends nothing more: the outcome was its last, or it has lost its lease.
func (f settleFacts) ends() bool { return f.last || !f.leased }

// isUnspent reports whether inWebo has neither made an OTP nor activated a device. A refusal may have counted a wrong PIN all the same.
func (f settleFacts) isUnspent() bool {
	return f.outcome.result == neverSent || f.outcome.result == refused
}

// attemptEffect is what an outcome does with the PIN attempt of its conversation.
type attemptEffect string

const (
	attemptKept       attemptEffect = "kept"       // the conversation goes on with it
	attemptReleased   attemptEffect = "released"   // inWebo did not count it, or never received it
	attemptWrong      attemptEffect = "wrong"      // inWebo counted it as wrong
	attemptUnanswered attemptEffect = "unanswered" // inWebo may have counted it as wrong
	attemptForgiven   attemptEffect = "forgiven"   // inWebo accepted it, and forgets what it had counted
	// attemptForgivenAndKept is attemptForgiven for a conversation that goes on with the attempt.
	attemptForgivenAndKept attemptEffect = "forgivenAndKept"
)

// attemptEffect decides about the PIN attempt. A success forgives only while the lease lasts: a conversation that has lost it may be
// older than the last wrong PIN. The first half of an enrollment is no success: if the enrollment ends there, the account still has
// its old device, and inWebo what it counted for that device.
func (f settleFacts) attemptEffect() attemptEffect {
	isSuccess := f.outcome.result == accepted || f.outcome.result == effectUnknown
	switch {
	case f.outcome.wrongPIN:
		return attemptWrong
	case f.outcome.mayCount, f.outcome.result == noAnswer:
		return attemptUnanswered
	case isSuccess && f.leased && f.last:
		return attemptForgiven
	case isSuccess && f.leased && !f.enrolls:
		return attemptForgivenAndKept
	case f.ends():
		return attemptReleased
	default:
		return attemptKept
	}
}

// releasesIssue reports whether the OTP does not count for the quota.
func (f settleFacts) releasesIssue() bool { return f.ends() && f.isUnspent() && f.rounds == 0 }

// releasesActivation reports whether the SMS activation does not count.
func (f settleFacts) releasesActivation() bool {
	return f.ends() && f.enrolls && f.outcome.result == neverSent && f.rounds == 0
}

// dropsEnrollment reports whether an enrollment that inWebo has not activated is over.
func (f settleFacts) dropsEnrollment() bool { return f.ends() && f.enrolls && f.isUnspent() }

// callerErr returns what the caller is told when the outcome is stored, or nil for a success. For superseded see applyOutcome.
func (f settleFacts) callerErr(superseded bool) error {
	o := f.outcome
	switch {
	case superseded && o.result == accepted: // what inWebo accepted has changed nothing here
		return ErrSuperseded
	case !f.last && !f.leased: // the conversation cannot go on without its lease
		return ErrSuperseded
	case f.leased || f.enrolls || !o.explainsDoubt():
		return o.err
	case errors.Is(o.err, ErrPINRefused): // the challenge of a later conversation may have replaced its own
		return wrapCause(ErrInDoubt, o.err)
	default: // for the same reason, the refusal does not describe the device
		return wrapCause(ErrSuperseded, o.err)
	}
}

// applyOutcome returns r with the outcome, whatever happened to the record since the conversation wrote it. Another conversation may
// have leased the device: its lease, its PIN attempt and its OTP stay. superseded means that a later conversation has changed the device
// already, or that the record does not have the device any more: then the outcome changes nothing of the device.
//
// A record remembers the revisions of its lease and of those that were overtaken. MovedBy is the revision of the lease whose conversation
// made the last step, so the outcome is superseded when MovedBy is above the revision of the conversation's own lease.
//
// A record that does not know the lease, whose revision is 0 then, is not the one that the conversation wrote: it was restored, or deleted
// and created again. Its revisions began elsewhere, so the steps are compared instead, and a device that the outcome may be about is in
// doubt.
func (r Record) applyOutcome(p settleParams, o outcome, now time.Time) (_ Record, superseded bool) {
	facts := p.factsAbout(&r, o)
	leaseRevision, known := r.leaseOf(p.conversation)
	if known {
		superseded = r.MovedBy > leaseRevision
	} else {
		r = r.withCostsOf(p)
		superseded = r.Step > p.written.Step
	}
	if !superseded {
		r, superseded = r.advance(p, o, leaseRevision, now)
	}
	if !known && o.mayMove() && p.mayConcern(r) {
		r = r.withDoubt(now, leaseRevision)
	}
	r = r.settleCosts(facts, p.conversation, now)
	if o.blocking != "" {
		r.Blocking = o.blocking
	}
	if facts.ends() {
		r = r.withoutLease(p.conversation)
	}
	r.Revision++
	return r, superseded
}

// mayConcern reports whether an answer to the conversation may be about the device of r. inWebo has one set of keys for a serial, however
// often that device was imported or enrolled here.
func (p settleParams) mayConcern(r Record) bool {
	return r.Device != nil && r.Serial == p.written.Serial
}

// advance returns r with what the outcome changes of the device, and of the doubt about it. It reports superseded, and changes
// nothing, when the device of r is not the one that the outcome is about.
func (r Record) advance(p settleParams, o outcome, leaseRevision uint64, now time.Time) (_ Record, superseded bool) {
	if o.change != nil {
		next, fits := o.change.apply(r, p.written, now, leaseRevision)
		if !fits {
			return r, true
		}
		if r = next; o.change.isStep() {
			r.Step, r.MovedBy = max(r.Step, p.written.Step)+1, max(r.MovedBy, leaseRevision)
			r = r.withKeptAnswersOutdated()
		}
	}
	switch {
	case p.enrolls: // the proofs of an activation do not confirm the device that the account has
	case o.result == accepted, o.result == effectUnknown:
		r = r.confirmed()
	case o.refusesProof() && r.Device != nil && r.isLeasedBy(p.conversation): // the keys may be wrong; the challenge was the latest
		device := r.Device.withOtherState()
		r.Device = &device
	}
	if o.unread != nil {
		r = r.withUnread(*o.unread, now)
	}
	switch {
	case o.result == noAnswer || o.result == effectUnknown || o.unread != nil:
		r = r.withDoubt(now, leaseRevision)
	case o.result == accepted && !p.enrolls && r.Doubt != nil && r.Doubt.By <= leaseRevision:
		r.Doubt = nil
	}
	return r, false
}

// settleCosts returns r with what becomes of the PIN attempt, the OTP and the SMS activation that the conversation took.
func (r Record) settleCosts(facts settleFacts, conversation string, now time.Time) Record {
	r.Guard = r.Guard.settle(facts.attemptEffect(), conversation, now)
	if facts.releasesIssue() {
		r.Quota = r.Quota.release(conversation)
	}
	if facts.releasesActivation() {
		r.Activations = max(0, r.Activations-1)
	}
	if facts.dropsEnrollment() && r.Enrollment != nil && r.Enrollment.Phase == PhaseEnrolling {
		r.Enrollment = nil
	}
	return r
}

// withCostsOf returns r with the PIN attempt, the OTP and the SMS activation that the conversation took with its lease. They are missing
// in a record that was restored to a state before the lease.
func (r Record) withCostsOf(p settleParams) Record {
	r.Guard = r.Guard.withAttemptOf(p.conversation, p.written.Guard)
	r.Quota = r.Quota.withIssueOf(p.conversation, p.written.Quota)
	r.Activations = max(r.Activations, p.written.Activations)
	return r
}
