package otp

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/tracing"
)

// settleReserve is kept of a conversation's deadline for the store, so that an answer of the last moment can be told.
const settleReserve = 500 * time.Millisecond

// Pauses between two tries to settle.
const (
	firstRetryPause = 20 * time.Millisecond
	maxRetryPause   = time.Second
)

// settle makes the outcome durable and returns what the caller is told: nil when inWebo accepted and the store took it.
// The first try is the caller's own, because it is nearly always the last.
func (s *Service) settle(c *conversation, o outcome, last bool) error {
	c.report(o)
	p := s.newSettlement(c, o, last)
	retry := s.retryUntilStored
	if time.Now().Before(c.deadline) {
		if p.try(c.deadline) {
			return p.stored()
		}
		retry = s.tryAgain
	}
	return s.settleInBackground(p, retry)
}

// settleInBackground settles in a goroutine that retries until the store takes the outcome. The caller waits for it until
// the deadline.
func (s *Service) settleInBackground(p *settlement, retry func(try func() bool) bool) error {
	c, o := p.conversation, p.outcome
	var decided atomic.Bool // by the goroutine, or by the caller that gives up
	done := make(chan error, 1)
	go func() {
		err := p.ended(retry(p.tryDetached))
		if decided.CompareAndSwap(false, true) {
			done <- err
			return
		}
		defer s.end(c)
		if p.saysDone { // the caller was told something else
			_ = s.appendAudit(s.ctx, c, StageOutcome, string(errcodes.ReasonStateNotStored)) // once: a broken store takes settles alone
		}
		if !p.last { // what should have followed, does not: nothing more was sent
			_ = s.settleToCompletion(c, outcome{result: neverSent, err: ErrNotStored}, true)
		}
	}()
	timer := time.NewTimer(time.Until(c.deadline))
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	if !decided.CompareAndSwap(false, true) {
		return <-done
	}
	c.detached = true
	if o.result == accepted || !p.last {
		return ErrNotStored
	}
	return o.err
}

// settleToCompletion tries until the store has the outcome, or the process ends. It returns what the caller is told.
func (s *Service) settleToCompletion(c *conversation, o outcome, last bool) error {
	p := s.newSettlement(c, o, last)
	return p.ended(s.retryUntilStored(p.tryDetached))
}

// retryUntilStored calls try, with pauses that grow, until it returns true. It returns false when the service gives up its
// conversations first.
func (s *Service) retryUntilStored(try func() bool) bool { return try() || s.tryAgain(try) }

// tryAgain is retryUntilStored after a first try that failed.
func (s *Service) tryAgain(try func() bool) bool {
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

// settlement is an outcome on its way into the store. Every try applies it to the record as that was last seen.
type settlement struct {
	*conversation
	service     *Service
	outcome     outcome
	last        bool
	id          string // of the write
	found       Record // what the outcome is applied to
	over        []byte // the body of its row
	tried       uint64 // the revision of the last write under id
	deviceTaken bool   // another account has the device that the outcome is about
	callerErr   error  // what the caller is told when the store takes it
	saysDone    bool   // a try under id may have audited the outcome as done
	answered    time.Time
	end         tracing.End
}

func (s *Service) newSettlement(c *conversation, o outcome, last bool) *settlement {
	return &settlement{
		conversation: c, service: s, outcome: o, last: last, id: c.nextWriteID(), found: c.record, over: c.body, callerErr: o.err,
		answered: time.Now(), end: tracing.Under(c.span, "settle"),
	}
}

// try writes the outcome, once, and reports whether the store has it at that time at the latest.
func (p *settlement) try(until time.Time) (stored bool) {
	p.service.recoverPanic("settle", func() { stored = p.write(until) })
	return stored
}

func (p *settlement) write(until time.Time) (stored bool) {
	base, params, o := p.found, p.settleParams(p.last), p.outcome
	if base.Revision == 0 { // the record was deleted: what the conversation left is all that remains of it
		base = p.record.reborn(p.now())
		params.written = base
	}
	if p.deviceTaken {
		base.Device, base.Enrollment, o.change = nil, nil, displaced{}
	}
	next, superseded := base.settled(params, o, p.now())
	if p.found.Revision == 0 && next.Device != nil { // others may have moved the device on before the record was deleted
		next.Doubt = next.Doubt.deeper(p.now(), 0)
	}
	p.callerErr = p.outcome.err
	switch leased := base.isLeasedBy(p.conversation.id); {
	case superseded && p.outcome.result == accepted, !p.last && !leased:
		p.callerErr = ErrSuperseded
	case leased || params.enrolls || !p.outcome.explainsDoubt():
	case errors.Is(p.outcome.err, ErrPINRefused): // a later conversation's challenge may have replaced its own
		p.callerErr = wrapCause(ErrInDoubt, p.outcome.err)
	default: // for the same reason, the refusal says nothing of the device
		p.callerErr = wrapCause(ErrSuperseded, p.outcome.err)
	}
	if next.Guard.isLocked(p.service.limits.Guard) && errors.Is(p.callerErr, ErrInDoubt) && errors.Is(p.callerErr, ErrPINRefused) {
		p.callerErr = wrapCause(p.callerErr, ErrPINLocked)
	}
	word := p.word(p.callerErr)
	w, err := p.writeOf(p.id, p.found, next, StageOutcome, word)
	if err == nil {
		w.Response, w.Over = p.responseToStore(p.outcome, p.callerErr, p.last), p.over
		p.tried = next.Revision
		err = p.service.writeBy(p.service.ctx, until, CommitSettle, w)
	}
	switch known := isKnown(err) || errors.Is(err, ErrNotApplied); {
	case err == nil || !known:
		p.saysDone = p.saysDone || word == outcomeDone
	case !errors.Is(err, ErrNotApplied): // then no try before it was stored either
		p.saysDone = false
	}
	switch {
	case err == nil:
		p.record, p.body = next.stored(), w.Row.Body
		return true
	case errors.Is(err, ErrConflict), errors.Is(err, ErrExists):
		p.refetch(until)
	case errors.Is(err, ErrDeviceTaken):
		p.deviceTaken = true
	}
	return false
}

// refetch reads the record again after another writer changed it. A record that has gone back behind the last try was
// restored or deleted, and whatever that try stored went with it: the next one is a write of its own.
func (p *settlement) refetch(until time.Time) {
	ctx, cancel := context.WithDeadline(p.service.ctx, until)
	defer cancel()
	found, err := p.service.fetch(ctx, p.conversation)
	if err != nil {
		return
	}
	if p.found, p.over = found, p.seen; found.Revision < p.tried {
		p.id = p.nextWriteID()
	}
}

// tryDetached is try when no caller waits: a write and a read each have the time that they may take.
func (p *settlement) tryDetached() bool {
	return p.try(time.Now().Add(2 * p.service.limits.StoreTimeout))
}

// stored is what the caller is told of an outcome that the store has.
func (p *settlement) stored() error {
	p.end(nil)
	if p.outcome.result == accepted {
		p.service.observer.CommitWindow(time.Since(p.answered))
		p.rounds++
	}
	return p.callerErr
}

// ended is what the caller is told when no more tries follow.
func (p *settlement) ended(stored bool) error {
	if stored {
		return p.stored()
	}
	p.end(ErrNotStored)
	return ErrNotStored
}

// word is what the audit log says of an outcome.
func (c *conversation) word(callerErr error) string {
	switch {
	case callerErr != nil:
		return string(ReasonOf(callerErr))
	case time.Now().After(c.deadline):
		return string(errcodes.ReasonStateNotStored)
	default:
		return outcomeDone
	}
}

// outcomeDone is the audit log's word for an OTP that was given, or a device that was enrolled.
const outcomeDone = "done"
