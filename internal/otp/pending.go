package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/tracing"
)

// pendingLease is a lease that is becoming durable. The zero value is none.
type pendingLease struct {
	write   Pending
	request *leaseRequest
	until   time.Time   // by this process's clock
	end     tracing.End // of the lease
}

// leaseStored waits until the conversation's lease is durable. With an error there is none, or it is ended without the caller: nothing
// may be sent to inWebo that moves the device, and nothing settled.
func (s *Service) leaseStored(ctx context.Context, c *conversation) error {
	p := c.pending
	if p.write == nil {
		return nil
	}
	c.pending = pendingLease{}
	ctx, cancel := context.WithDeadline(ctx, p.until)
	defer cancel()
	err := p.write.Wait(ctx)
	p.end(err)
	s.observer.Committed(CommitLease, err)
	if err == nil {
		return nil
	}
	s.releasePermit(c)
	return s.leaseNotStored(c, p.request, err)
}

// leaseNotStored returns the error of a call whose request ended with an error of the store. Where that leaves open whether the lease was
// stored, the conversation goes on without its caller. Store describes the kinds of errors.
func (s *Service) leaseNotStored(c *conversation, q *leaseRequest, storeErr error) error {
	switch {
	case isConclusive(storeErr):
		return storeErr
	case !errors.Is(storeErr, ErrNotApplied) && !errors.Is(storeErr, ErrBroken):
		s.recoverLease(c, q)
	}
	return wrapCause(ErrStore, storeErr)
}

// recoverLease ends a lease of which it is not known whether it was stored. In a goroutine, it runs the request again until the store
// answers. If the device is leased then, no earlier run can lease it any more, because at most one write of the request is stored: the
// lease is settled as if nothing had been sent. If the request is refused, there is nothing to settle. The caller does not wait for
// that, but no other call of the account begins until then.
func (s *Service) recoverLease(c *conversation, q *leaseRequest) {
	s.detach(c)
	again := *q // an earlier run may still read it
	again.early = false
	go func() {
		defer s.end(c)
		recovery := leaseRecovery{service: s, request: &again}
		if s.retryUntilStored(false, recovery.try) && recovery.outcome.isLeased() {
			s.recordLease(c, recovery.outcome)
			s.settleToCompletion(c, outcome{result: neverSent, err: ErrStore})
		}
	}()
}

// leaseRecovery runs a request again until the store says what became of it.
type leaseRecovery struct {
	service *Service
	request *leaseRequest
	outcome *leaseOutcome // valid when try has returned true
}

// try runs the request once and reports whether its outcome is known.
func (l *leaseRecovery) try() (known bool) {
	l.service.recoverPanic("lease", func() {
		var err error
		if l.outcome, err = l.service.runLease(l.service.ctx, l.request); err != nil {
			l.outcome.err = err
		}
		// With ErrStore, decide could not read the record, which may have the lease.
		known = isConclusive(err) && !errors.Is(l.outcome.err, ErrStore)
	})
	return known
}
