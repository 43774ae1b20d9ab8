package otp

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/pimsd/pimsd/internal/tracing"
)

// Pauses between two looks at a record that another process has leased or changed.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// take gets the hold of the device: the record as prepare leaves it becomes durable before inWebo hears anything.
// prepare is given the record with the hold, and refuses it with a cause. There is no hold when the conversation has an
// answer then, which was kept.
func (s *Service) take(ctx context.Context, c *conversation, prepare func(Record, time.Time) (Record, error)) error {
	ctx, end := tracing.Start(ctx, "hold")
	err := s.whenFree(ctx, c, func() error { return s.tryTake(ctx, c, prepare) })
	end(err)
	return err
}

// whenFree calls try with growing pauses until it finds the device leased by no other conversation and changed by none
// meanwhile. It ends with the caller, with the conversation's patience, and when the service drains. The error of a record
// that others keep changing is ErrBusy, like that of one that others keep leased.
func (s *Service) whenFree(ctx context.Context, c *conversation, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := try()
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) {
			err = &Wait{ErrBusy, lastPause}
		}
		switch {
		case !errors.Is(err, ErrBusy):
			return err
		case s.isStopping():
			return ErrStopping
		case time.Now().Add(pause).After(c.patience):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(jittered(pause)):
		}
	}
}

// jittered returns a time between half the pause and the pause, so that processes that met once do not meet again.
func jittered(pause time.Duration) time.Duration {
	return pause/2 + rand.N(pause/2+1) //nolint:gosec // no secret depends on it
}

// tryTake looks at the record once, and writes the hold if nobody has one.
func (s *Service) tryTake(ctx context.Context, c *conversation, prepare func(Record, time.Time) (Record, error)) error {
	s.setDeadline(c)
	found, kept, err := s.fetchWithResponse(ctx, c)
	if err != nil {
		return because(ErrStore, err)
	}
	now := c.now()
	corrected, wasAhead := found.corrected(now)
	c.record = corrected
	if corrected.Disabled { // a stored response is refused, too
		err = ErrDisabled
	} else {
		c.answer, err = s.recall(ctx, c, kept)
	}
	switch {
	case err != nil:
		return s.refused(ctx, c, found, corrected, wasAhead, err)
	case !c.answer.IsEmpty():
		return nil
	}
	c.doubtful = c.record.InDoubt(now)
	next, err := c.record.held(c.id, now, now.Add(c.within+holdMargin))
	if err == nil {
		next.Hold.Repeat = c.ask.Repeat.key()
		next, err = prepare(next, now)
	}
	if err == nil {
		err = s.setOut(c)
	}
	if err != nil {
		return s.refused(ctx, c, found, corrected, wasAhead, err)
	}
	w, err := c.writeOf(c.nextWriteID(), found, next, StageAttempt, "")
	if err != nil {
		return because(ErrStore, err)
	}
	w.Over = c.seen
	switch err := s.write(ctx, CommitHold, w); {
	case err == nil:
		s.holds(c, next, w.Row)
		return nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrExists), errors.Is(err, ErrDeviceTaken):
		s.stayBack(c) // the next try may wait for another process
		return err
	case errors.Is(err, ErrUntouched), errors.Is(err, ErrBroken):
		return because(ErrStore, err)
	default:
		s.undoHold(c, w, next)
		return because(ErrStore, err)
	}
}

// undoHold looks after a hold of which nobody knows whether it was stored. Repeating its write tells, and fences off a
// first try that is still on its way; a hold that is stored is settled as if nothing had been sent. The caller is
// answered meanwhile, and the lane stays closed.
func (s *Service) undoHold(c *conversation, w Write, held Record) {
	c.left = true
	s.holds(c, held, w.Row) // perhaps: who gives it up must name the account
	go func() {
		defer s.end(c)
		var err error
		known := s.retryUntilStored(func() (known bool) {
			s.protect("hold", func() {
				err = s.write(s.life, CommitHold, w)
				known = isKnown(err)
			})
			return known
		})
		if known && err == nil {
			_ = s.settleToCompletion(c, outcome{fate: unsent, err: ErrStore}, true)
		}
	}()
}
