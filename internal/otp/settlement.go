package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/tracing"
)

// settling is an outcome on its way into the store. Every try is the same write, of what the record is by then.
type settling struct {
	*conversation
	service  *Service
	outcome  outcome
	last     bool
	id       string // of the write
	base     Record // what the outcome is applied to
	told     error  // what the caller is told when the store takes it
	answered time.Time
	end      tracing.End
}

func (s *Service) settling(c *conversation, o outcome, last bool) *settling {
	return &settling{
		conversation: c, service: s, outcome: o, last: last, id: c.nextWriteID(), base: c.record, told: o.err,
		answered: time.Now(), end: tracing.Under(c.span, "settle"),
	}
}

// try writes the outcome, once, and tells whether the store has it at that time at the latest.
func (p *settling) try(until time.Time) bool {
	next, superseded := p.base.settled(p.chapter(p.last), p.outcome, p.now())
	p.told = p.outcome.err
	if superseded && p.outcome.fate == accepted || !p.last && !next.heldBy(p.conversation.id) {
		p.told = ErrSuperseded
	}
	w, err := p.writeOf(p.id, next, StageOutcome, p.word(p.told))
	w.Keep = p.keep(p.outcome, p.told, p.last)
	if err == nil {
		err = p.service.writeBy(p.service.life, until, CommitSettle, w)
	}
	if err == nil {
		p.record = next
		return true
	}
	if errors.Is(err, ErrConflict) && p.fetchBy(until) == nil {
		p.base = p.record
	}
	return false
}

// tryAnyTime is try for whom no caller waits: a write and a read have each the time that they may take.
func (p *settling) tryAnyTime() bool { return p.try(time.Now().Add(2 * p.service.limits.StoreTimeout)) }

// fetchBy reads the record anew, for who waits until then.
func (p *settling) fetchBy(until time.Time) error {
	ctx, cancel := context.WithDeadline(p.service.life, until)
	defer cancel()
	return p.service.fetch(ctx, p.conversation)
}

// taken is what the caller is told of an outcome that the store has.
func (p *settling) taken() error {
	p.end(nil)
	if p.outcome.fate == accepted {
		p.service.observer.Window(time.Since(p.answered))
		p.rounds++
	}
	return p.told
}

// ended is what the caller is told when no more tries follow.
func (p *settling) ended(taken bool) error {
	if taken {
		return p.taken()
	}
	p.end(ErrNotStored)
	return ErrNotStored
}

// word is what the audit log says of an outcome.
func (c *conversation) word(told error) string {
	switch {
	case told != nil:
		return CauseOf(told).Error()
	case time.Now().After(c.deadline):
		return ErrNotStored.Error()
	default:
		return outcomeDone
	}
}

// outcomeDone is the audit log's word for an OTP that was given, or a device that was enrolled.
const outcomeDone = "done"
