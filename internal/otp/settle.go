package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/tracing"
)

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
	callerErr     error  // what the caller is told if the last try was stored
	// mayHaveAuditedDone means that a write under writeID that audits the outcome as done was stored, or may have been. If the caller
	// is told ErrNotStored all the same, endDetached adds an entry that says so.
	mayHaveAuditedDone bool
}

func (s *Service) newSettlement(c *conversation, o outcome, last bool) *settlement {
	return &settlement{
		service: s, conversation: c, outcome: o, last: last, answeredAt: time.Now(), end: tracing.Under(c.span, "settle"),
		writeID: c.nextWriteID(), base: c.record, baseBody: c.body, callerErr: o.err,
	}
}

// settle makes the outcome durable and returns what the caller is told: nil means that inWebo accepted and the store has it. last means
// that the conversation sends nothing more after this outcome. The first try runs in the caller's goroutine, because it nearly always
// succeeds.
func (s *Service) settle(c *conversation, o outcome, last bool) error {
	c.report(o)
	p := s.newSettlement(c, o, last)
	hasFailed := false
	if time.Now().Before(c.deadline) {
		if p.try(c.deadline) {
			return p.finish(true)
		}
		hasFailed = true
	}
	return p.settleInBackground(hasFailed)
}

// settleInBackground retries in a goroutine until the store has the outcome; hasFailed means that a first try was made, and failed. The
// caller waits for it until the conversation's deadline. Then the conversation is detached: the caller is answered, and the goroutine
// goes on and ends the conversation.
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
	p.service.detach(p.conversation)
	close(detached)
	// Neither a success nor another exchange may follow an outcome that is not stored. A failure of the last exchange is one whether it is
	// stored or not, and its own error says more to the caller.
	if p.outcome.result == accepted || !p.last {
		return ErrNotStored
	}
	return p.outcome.err
}

// endDetached ends the conversation when its outcome was settled after the caller was answered. A caller that was told ErrNotStored
// got nothing, so an audit log that may call the outcome done gets another entry. If the conversation was to go on, it does not: its last
// outcome is that nothing more was sent.
func (p *settlement) endDetached() {
	s, c := p.service, p.conversation
	defer s.end(c)
	if p.mayHaveAuditedDone { // one try: a store that is broken accepts only settles, so a retry might never end
		_ = s.appendAudit(s.ctx, c, StageOutcome, string(errcodes.ReasonStateNotStored))
	}
	if !p.last {
		s.settleToCompletion(c, outcome{result: neverSent, err: ErrNotStored})
	}
}

// settleToCompletion settles the last outcome of a conversation whose caller was answered already. It runs in a goroutine of the
// conversation, and tries until the store has the outcome, or the service stops.
func (s *Service) settleToCompletion(c *conversation, o outcome) {
	p := s.newSettlement(c, o, true)
	_ = p.finish(s.retryUntilStored(false, p.tryDetached))
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

// tryDetached is try with no regard to the conversation's deadline: its write and its read each get the whole StoreTimeout.
func (p *settlement) tryDetached() bool {
	return p.try(time.Now().Add(2 * p.service.limits.StoreTimeout))
}

// try writes the outcome once and reports whether the store has it. It ends at until at the latest. A panic is a try that failed.
func (p *settlement) try(until time.Time) (stored bool) {
	p.service.recoverPanic("settle", func() { stored = p.write(until) })
	return stored
}

func (p *settlement) write(until time.Time) (stored bool) {
	c := p.conversation
	next, callerErr := p.applied()
	p.callerErr = callerErr
	word := c.auditWord(callerErr)
	w, err := c.writeOf(p.writeID, &p.base, &next, StageOutcome, word)
	if err == nil {
		w.Over = p.baseBody // the row that this write is written over
		w.Response = c.responseToStore(p.outcome, callerErr, p.last)
		p.triedRevision = next.Revision
		err = p.service.writeBefore(p.service.ctx, until, CommitSettle, w)
	}
	p.recordAudited(word, err)
	switch {
	case err == nil:
		c.record, c.body = next, w.Row.Body
		c.record.setStored()
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
	wasDeleted := base.isBlank()
	if wasDeleted { // what the conversation last wrote is all that remains of the device
		base = c.record.recreated(base, now)
	}
	if p.deviceTaken {
		base.Device, base.Enrollment, base.Doubt, o.change = nil, nil, nil, displaced{}
	}
	next, superseded := base.applyOutcome(params, o, now)
	if wasDeleted { // other conversations may have moved the device on before the record was deleted
		next = next.withDoubt(now, 0)
	}
	callerErr = params.factsAbout(&base, o).callerErr(superseded)
	// ErrInDoubt with a refused PIN asks the user for the PIN again, so it must say when no attempt is left. After a plain ErrPINRefused
	// the next call says so.
	if next.Guard.isLocked(p.service.limits.Guard) && errors.Is(callerErr, ErrInDoubt) && errors.Is(callerErr, ErrPINRefused) {
		callerErr = wrapCause(callerErr, ErrPINLocked)
	}
	return next, callerErr
}

// recordAudited sets mayHaveAuditedDone after a write with that word in its audit entry ended with err. The kinds of errors are those
// that Store describes.
func (p *settlement) recordAudited(word string, err error) {
	switch {
	case errors.Is(err, ErrNotApplied): // this try stored no entry; an earlier one may have
	case err != nil && isConclusive(err): // no try under this ID was stored
		p.mayHaveAuditedDone = false
	case word == outcomeDone: // it was stored, or may have been
		p.mayHaveAuditedDone = true
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
	p.base = found
	p.baseBody = p.conversation.fetchedBody // which fetch has set
	p.deviceTaken = false                   // another account may have forgotten the device since
	if found.Revision < p.triedRevision {
		p.writeID = p.conversation.nextWriteID()
	}
}

// auditWord returns the audit log's word for an outcome that is about to be stored, and of which the caller is then told callerErr. After
// the deadline that is too late: the caller was told ErrNotStored.
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
