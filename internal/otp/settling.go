package otp

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/tracing"
)

// settleReserve is kept of a conversation's deadline for the store, so that an answer of the last moment can be told.
const settleReserve = 500 * time.Millisecond

// Pauses between two tries to settle.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// settle makes the outcome durable and gives what the caller is told: nil when inWebo accepted and the store took it.
// The caller waits until the deadline; a goroutine goes on after it until the store takes the outcome.
func (s *Service) settle(c *conversation, o outcome, last bool) error {
	c.report(o)
	var decided atomic.Bool // by the goroutine that settles, or by the caller who stops waiting
	done := make(chan error, 1)
	go func() {
		err := s.settleHoweverLong(c, o, last)
		if decided.CompareAndSwap(false, true) {
			done <- err
			return
		}
		defer s.end(c)
		if !last { // what should have followed, does not: nothing more was sent
			_ = s.settleHoweverLong(c, outcome{fate: unsent, err: ErrNotStored}, true)
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
	if o.fate == accepted || !last {
		return ErrNotStored
	}
	return o.err
}

// settleHoweverLong tries until the store has the outcome, or the process ends. It gives what the caller is told.
func (s *Service) settleHoweverLong(c *conversation, o outcome, last bool) error {
	answered, id, base := time.Now(), c.nextWriteID(), c.record
	end := tracing.Under(c.span, "settle")
	told := o.err
	taken := s.insist(func() bool {
		next, superseded := base.settled(c.chapter(last), o, c.now())
		told = o.err
		if superseded && o.fate == accepted || !last && !next.heldBy(c.id) {
			told = ErrSuperseded
		}
		w, err := c.writeOf(id, next, StageOutcome, c.word(told))
		w.Keep = c.keep(o, told, last)
		if err == nil {
			err = s.write(s.life, CommitSettle, w)
		}
		if err == nil {
			c.record = next
			return true
		}
		if errors.Is(err, ErrConflict) && s.fetch(s.life, c) == nil {
			base = c.record
		}
		return false
	})
	if !taken {
		end(ErrNotStored)
		return ErrNotStored
	}
	end(nil)
	if o.fate == accepted {
		s.observer.Window(time.Since(answered))
		c.rounds++
	}
	return told
}

// insist repeats try, which says whether it is done, with pauses that grow. It gives false when nobody waits any more.
func (s *Service) insist(try func() bool) bool {
	if try() {
		return true
	}
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
