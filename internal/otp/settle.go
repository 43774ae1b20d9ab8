package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/tracing"
)

// settleReserve is the part of a conversation's deadline that is left for the store, so that the caller still gets an answer that
// arrives at the last moment.
const settleReserve = 500 * time.Millisecond

// Pauses between two tries to settle.
const (
	firstRetryPause = 20 * time.Millisecond
	maxRetryPause   = time.Second
)

// settlement is an outcome on its way into the store. Each try applies it to the record as it was last read.
type settlement struct {
	service      *Service
	conversation *conversation
	outcome      outcome
	last         bool // the conversation sends nothing more
	answeredAt   time.Time
	end          tracing.End

	writeID       string
	base          Record // what the outcome is applied to
	baseBody      []byte // the body of its row
	triedRevision uint64 // of the last write under writeID
	deviceTaken   bool   // another account has the device that the outcome is about
	auditsDone    bool   // a try under writeID may have audited the outcome as done
	callerErr     error  // what the caller is told if the last try was stored
}

func (s *Service) newSettlement(c *conversation, o outcome, last bool) *settlement {
	return &settlement{
		service: s, conversation: c, outcome: o, last: last, answeredAt: time.Now(), end: tracing.Under(c.span, "settle"),
		writeID: c.nextWriteID(), base: c.record, baseBody: c.body, callerErr: o.err,
	}
}

// settle makes the outcome durable and returns what the caller is told: nil means that inWebo accepted and the store has it.
// The first try runs in the caller's goroutine, because it is nearly always the last.
func (s *Service) settle(c *conversation, o outcome, last bool) error {
	c.report(o)
	p := s.newSettlement(c, o, last)
	inTime := time.Now().Before(c.deadline)
	if inTime && p.try(c.deadline) {
		return p.finish(true)
	}
	return p.settleInBackground(inTime)
}

// settleInBackground retries in a goroutine until the store has the outcome. The caller waits for it until the conversation's
// deadline. Then the conversation is detached: the goroutine ends it.
func (p *settlement) settleInBackground(hasFailed bool) error {
	settled, detached := make(chan error), make(chan struct{})
	go func() {
		err := p.finish(p.service.retryUntilStored(hasFailed, p.tryDetached))
		select {
		case settled <- err:
		case <-detached:
			p.endDetached()
		}
	}()
	timer := time.NewTimer(time.Until(p.conversation.deadline))
	defer timer.Stop()
	select {
	case err := <-settled:
		return err
	case <-timer.C:
	}
	select {
	case err := <-settled: // at the same moment
		return err
	default:
	}
	p.conversation.detached = true
	close(detached)
	if p.outcome.result == accepted || !p.last {
		return ErrNotStored
	}
	return p.outcome.err
}

// endDetached ends the conversation, whose caller was told that the outcome is not stored in time.
func (p *settlement) endDetached() {
	s, c := p.service, p.conversation
	defer s.end(c)
	if p.auditsDone {
		_ = s.appendAudit(s.ctx, c, StageOutcome, string(errcodes.ReasonStateNotStored)) // once: a broken store takes settles alone
	}
	if !p.last { // what should have followed does not: nothing more was sent
		_ = s.settleToCompletion(c, outcome{result: neverSent, err: ErrNotStored}, true)
	}
}

// settleToCompletion tries until the store has the outcome, or the service stops. It returns what the caller is told.
func (s *Service) settleToCompletion(c *conversation, o outcome, last bool) error {
	p := s.newSettlement(c, o, last)
	return p.finish(s.retryUntilStored(false, p.tryDetached))
}

// retryUntilStored calls try with growing pauses until it returns true. It returns false when the service gives up its
// conversations first. hasFailed means that the first call was made already, and failed.
func (s *Service) retryUntilStored(hasFailed bool, try func() bool) bool {
	if !hasFailed && try() {
		return true
	}
	s.observer.Retrying(+1)
	defer s.observer.Retrying(-1)
	for pause := firstRetryPause; ; pause = min(2*pause, maxRetryPause) {
		select {
		case <-s.ctx.Done():
			return false
		case <-time.After(pause):
		}
		if try() {
			return true
		}
	}
}

// finish ends the settlement after its last try, and returns what the caller is told.
func (p *settlement) finish(stored bool) error {
	if !stored {
		p.end(ErrNotStored)
		return ErrNotStored
	}
	p.end(nil)
	if p.outcome.result == accepted {
		p.service.observer.CommitWindow(time.Since(p.answeredAt))
		p.conversation.rounds++
	}
	return p.callerErr
}

// tryDetached is try without a waiting caller: a write and a read each have their whole time.
func (p *settlement) tryDetached() bool {
	return p.try(time.Now().Add(2 * p.service.limits.StoreTimeout))
}

// try writes the outcome once and reports whether the store has it. It ends at that time at the latest.
func (p *settlement) try(until time.Time) (stored bool) {
	p.service.recoverPanic("settle", func() { stored = p.write(until) })
	return stored
}

func (p *settlement) write(until time.Time) (stored bool) {
	c := p.conversation
	next, callerErr := p.applied()
	p.callerErr = callerErr
	word := c.auditWord(callerErr)
	w, err := c.writeOf(p.writeID, p.base, next, StageOutcome, word)
	if err == nil {
		w.Response, w.Over = c.responseToStore(p.outcome, callerErr, p.last), p.baseBody
		p.triedRevision = next.Revision
		err = p.service.writeBefore(p.service.ctx, until, CommitSettle, w)
	}
	p.noteAudited(word, err)
	switch {
	case err == nil:
		c.record, c.body = next.stored(), w.Row.Body
		return true
	case errors.Is(err, ErrConflict), errors.Is(err, ErrExists):
		p.refetch(until)
	case errors.Is(err, ErrDeviceTaken):
		p.deviceTaken = true
	}
	return false
}

// applied returns the record with the outcome, and what the caller is told when it is stored.
func (p *settlement) applied() (next Record, callerErr error) {
	c, o, base := p.conversation, p.outcome, p.base
	now, params := c.now(), c.settleParams(p.last)
	wasDeleted := base.Revision == 0
	if wasDeleted { // what the conversation last wrote is all that remains of the record
		base = c.record.recreated(now)
		params.written = base
	}
	if p.deviceTaken {
		base.Device, base.Enrollment, o.change = nil, nil, displaced{}
	}
	next, superseded := base.applyOutcome(params, o, now)
	if wasDeleted && next.Device != nil { // other conversations may have moved the device on before the record was deleted
		next = next.withDoubt(now, 0)
	}
	callerErr = params.factsAbout(base, o).callerErr(superseded)
	if next.Guard.isLocked(p.service.limits.Guard) && errors.Is(callerErr, ErrInDoubt) && errors.Is(callerErr, ErrPINRefused) {
		callerErr = wrapCause(callerErr, ErrPINLocked)
	}
	return next, callerErr
}

// noteAudited remembers whether the audit log may say that the outcome is done, after a write with that word ended with err.
func (p *settlement) noteAudited(word string, err error) {
	switch {
	case errors.Is(err, ErrNotApplied): // this try audited nothing
	case err != nil && isKnown(err): // neither this try nor an earlier one under the same id was stored
		p.auditsDone = false
	case word == outcomeDone: // it was stored, or may have been
		p.auditsDone = true
	}
}

// refetch reads the record again after another writer changed it. A record whose revision is lower than that of the last try was
// restored or deleted, together with whatever that try stored: the next try is a new write.
func (p *settlement) refetch(until time.Time) {
	ctx, cancel := context.WithDeadline(p.service.ctx, until)
	defer cancel()
	found, err := p.service.fetch(ctx, p.conversation)
	if err != nil {
		return
	}
	if p.base, p.baseBody = found, p.conversation.seen; found.Revision < p.triedRevision {
		p.writeID = p.conversation.nextWriteID()
	}
}

// auditWord returns the audit log's word for an outcome.
func (c *conversation) auditWord(callerErr error) string {
	switch {
	case callerErr != nil:
		return string(ReasonOf(callerErr))
	case time.Now().After(c.deadline):
		return string(errcodes.ReasonStateNotStored)
	default:
		return outcomeDone
	}
}

// outcomeDone is the audit log's word for an OTP that was issued, or a device that was enrolled.
const outcomeDone = "done"
