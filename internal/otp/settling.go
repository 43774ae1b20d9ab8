package otp

import (
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
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
