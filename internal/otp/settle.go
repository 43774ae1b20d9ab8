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
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// settle makes the outcome durable and returns what the caller is told: nil when inWebo accepted and the store took it.
// The first try is the caller's own, because it is nearly always the last.
func (s *Service) settle(c *conversation, o outcome, last bool) error {
	c.report(o)
	p := s.settling(c, o, last)
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
			_ = s.appendAudit(s.life, c, StageOutcome, string(errcodes.ReasonStateNotStored)) // once: a broken store takes settles alone
		}
		if !p.last { // what should have followed, does not: nothing more was sent
			_ = s.settleToCompletion(c, outcome{fate: unsent, err: ErrNotStored}, true)
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
	c.left = true
	if o.fate == accepted || !p.last {
		return ErrNotStored
	}
	return o.err
}

// settleToCompletion tries until the store has the outcome, or the process ends. It returns what the caller is told.
func (s *Service) settleToCompletion(c *conversation, o outcome, last bool) error {
	p := s.settling(c, o, last)
	return p.ended(s.retryUntilStored(p.tryDetached))
}

// retryUntilStored calls try, with pauses that grow, until it returns true. It returns false when the service gives up its
// conversations first.
func (s *Service) retryUntilStored(try func() bool) bool { return try() || s.tryAgain(try) }

// tryAgain is retryUntilStored after a first try that failed.
func (s *Service) tryAgain(try func() bool) bool {
	s.observer.Retrying(+1)
	defer s.observer.Retrying(-1)
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		select {
		case <-s.life.Done():
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
	service  *Service
	outcome  outcome
	last     bool
	id       string // of the write
	found    Record // what the outcome is applied to
	over     []byte // the body of its row
	tried    uint64 // the revision of the last write under id
	taken    bool   // another account has the device that the outcome is about
	told     error  // what the caller is told when the store takes it
	saysDone bool   // a try under id may have audited the outcome as done
	answered time.Time
	end      tracing.End
}

func (s *Service) settling(c *conversation, o outcome, last bool) *settlement {
	return &settlement{
		conversation: c, service: s, outcome: o, last: last, id: c.nextWriteID(), found: c.record, over: c.body, told: o.err,
		answered: time.Now(), end: tracing.Under(c.span, "settle"),
	}
}

// try writes the outcome, once, and reports whether the store has it at that time at the latest.
func (p *settlement) try(until time.Time) (stored bool) {
	p.service.protect("settle", func() { stored = p.write(until) })
	return stored
}

func (p *settlement) write(until time.Time) (stored bool) {
	base, params, o := p.found, p.settleParams(p.last), p.outcome
	if base.Revision == 0 { // the record was deleted: what the conversation left is all that remains of it
		base = p.record.reborn(p.now())
		params.left = base
	}
	if p.taken {
		base.Device, base.Enrolment, o.change = nil, nil, displaced{}
	}
	next, superseded := base.settled(params, o, p.now())
	if p.found.Revision == 0 && next.Device != nil { // others may have moved the device on before the record was deleted
		next.Doubt = next.Doubt.deeper(p.now(), 0)
	}
	p.told = p.outcome.err
	switch leased := base.heldBy(p.conversation.id); {
	case superseded && p.outcome.fate == accepted, !p.last && !leased:
		p.told = ErrSuperseded
	case leased || params.enrolls || !p.outcome.explainsDoubt():
	case errors.Is(p.outcome.err, ErrPINRefused): // a later conversation's challenge may have replaced its own
		p.told = because(ErrInDoubt, p.outcome.err)
	default: // for the same reason, the refusal says nothing of the device
		p.told = because(ErrSuperseded, p.outcome.err)
	}
	if next.Guard.isLocked(p.service.limits.Guard) && errors.Is(p.told, ErrInDoubt) && errors.Is(p.told, ErrPINRefused) {
		p.told = because(p.told, ErrPINLocked)
	}
	word := p.word(p.told)
	w, err := p.writeOf(p.id, p.found, next, StageOutcome, word)
	if err == nil {
		w.Keep, w.Over = p.keep(p.outcome, p.told, p.last), p.over
		p.tried = next.Revision
		err = p.service.writeBy(p.service.life, until, CommitSettle, w)
	}
	switch known := isKnown(err) || errors.Is(err, ErrUntouched); {
	case err == nil || !known:
		p.saysDone = p.saysDone || word == outcomeDone
	case !errors.Is(err, ErrUntouched): // then no try before it was stored either
		p.saysDone = false
	}
	switch {
	case err == nil:
		p.record, p.body = next.stored(), w.Row.Body
		return true
	case errors.Is(err, ErrConflict), errors.Is(err, ErrExists):
		p.refetch(until)
	case errors.Is(err, ErrDeviceTaken):
		p.taken = true
	}
	return false
}

// refetch reads the record again after another writer changed it. A record that has gone back behind the last try was
// restored or deleted, and whatever that try stored went with it: the next one is a write of its own.
func (p *settlement) refetch(until time.Time) {
	ctx, cancel := context.WithDeadline(p.service.life, until)
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
	if p.outcome.fate == accepted {
		p.service.observer.Window(time.Since(p.answered))
		p.rounds++
	}
	return p.told
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
func (c *conversation) word(told error) string {
	switch {
	case told != nil:
		return string(ReasonOf(told))
	case time.Now().After(c.deadline):
		return string(errcodes.ReasonStateNotStored)
	default:
		return outcomeDone
	}
}

// outcomeDone is the audit log's word for an OTP that was given, or a device that was enrolled.
const outcomeDone = "done"
