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
	maxPause   = 250 * time.Millisecond
)

// leasePurpose is what a call wants the lease of a record for.
type leasePurpose interface {
	// prepare returns r, which has the lease, with what the call takes from the account in the same write. The error says why the
	// call is refused. It is part of leaseRequest.decide.
	prepare(r Record, conversation string, clock ClockReading, limits *Limits) (Record, error)
}

// leaseRequest is all that decides about a lease, apart from what the store has. Its method decide must be a pure function, because
// Store.Update runs it in a goroutine of the store, perhaps several times and after the caller has left. So a leaseRequest shares
// nothing with its conversation, is not changed after its first run, and of the clocks it does no more than read them.
type leaseRequest struct {
	request      Request
	action       string
	conversation string
	writeID      string // the same for every run of decide: at most one of its writes is stored
	length       time.Duration
	tolerance    tolerance
	purpose      leasePurpose
	noPermit     error // why inWebo must not be asked now, or nil; any other reason to refuse the lease comes before this one
	limits       *Limits
	clock        *StoreClock
	early        bool // the conversation goes on while the lease becomes durable, if the store can do that
}

// leaseOutcome is what became of a leaseRequest. The record is leased if there is neither an err nor a response.
type leaseOutcome struct {
	record    Record          // with the lease; of a call that is refused, as far as it was read and prepared by then
	body      []byte          // the body of the row with the leased record
	inDoubt   bool            // the device was in doubt before the lease
	response  *StoredResponse // what is stored of the call that this one repeats
	storeTime ClockReading    // the time of the store when the record was read
	readAt    time.Time       // what Limits.Now returned at that moment
	err       error           // why the call is refused
	pending   Pending         // the lease that is not durable yet; nil: it is
}

// isLeased reports whether the conversation has the lease.
func (o *leaseOutcome) isLeased() bool { return o.err == nil && o.response == nil }

func (s *Service) leaseRequest(c *conversation, purpose leasePurpose) *leaseRequest {
	return &leaseRequest{
		request: c.request, action: c.action, conversation: c.id, writeID: c.nextWriteID(), length: c.timeout + leaseMargin,
		tolerance: c.tolerance, purpose: purpose, limits: &s.limits, clock: &s.clock, early: true,
	}
}

// decide leases the record of the snapshot, or returns why it must not be leased. The Result of the Decision is a *leaseOutcome.
func (q *leaseRequest) decide(found Snapshot) Decision {
	o := &leaseOutcome{readAt: q.limits.Now()}
	o.storeTime = q.clock.Look(o.readAt, found.Now)
	now := o.storeTime.Now.Truncate(time.Microsecond)
	record, err := q.tolerance.decode(found, q.limits)
	if err != nil {
		o.err = wrapCause(ErrStore, err)
		return Decision{Result: o}
	}
	// An earlier run of this request was stored. If the device was in doubt because of a lease that had run out, that run has made it a Doubt.
	if record.isLeasedBy(q.conversation) {
		o.record, o.body, o.inDoubt = record, found.Row.Body, record.Doubt != nil
		return Decision{Result: o}
	}
	if q.request.KeysVersion != 0 && q.request.KeysVersion != found.KeysVersion {
		o.err = ErrKeysChanged
		return Decision{Result: o}
	}
	corrected, wasAhead := record.corrected(now)
	o.record, o.inDoubt = corrected, corrected.InDoubt(now)
	if found.Response != nil && !corrected.Disabled {
		o.response = found.Response
		return Decision{Result: o}
	}
	o.record, o.err = q.lease(corrected, now, o.storeTime)
	var write Write
	switch {
	case o.err == nil:
		write, err = writeOver(q.writeID, &record, &o.record, q.request.entry(q.action, now, StageAttempt, "", o.record.Step))
		o.body = write.Row.Body
	case wasAhead && record.isCorrectable(): // as Service.refused does
		write, err = correction(q.writeID, record, corrected, q.request.entry(q.action, now, StageOutcome, outcomeClock, record.Step))
	default:
		return Decision{Result: o}
	}
	if err != nil {
		o.err = wrapCause(ErrStore, err)
		return Decision{Result: o}
	}
	return Decision{Write: &write, Result: o, Early: q.early && o.err == nil}
}

// lease returns r with the lease, and with what the call takes from the account together with it. The error says why the call is refused;
// the record that comes with it has what was prepared by then, and no lease.
func (q *leaseRequest) lease(r Record, now time.Time, clock ClockReading) (Record, error) {
	if r.Disabled {
		return r, ErrDisabled
	}
	if err := r.checkInFlight(q.request.Idempotency.key(), now); err != nil {
		return r, err
	}
	leased, err := r.withLease(q.conversation, now, now.Add(q.length))
	if err != nil {
		return r, err
	}
	leased.Lease.IdempotencyKey = q.request.Idempotency.key()
	if leased, err = q.purpose.prepare(leased, q.conversation, clock, q.limits); err == nil {
		err = q.noPermit
	}
	if err != nil {
		return leased.withoutLease(q.conversation), err
	}
	return leased, nil
}

// runLease runs the request in the store. The error is that of the store, with which the outcome is not valid. Why the call is refused
// is in the outcome.
func (s *Service) runLease(ctx context.Context, q *leaseRequest) (*leaseOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	d, err := s.store.Update(ctx, q.request.Account, q.request.Idempotency.key(), q.decide)
	o, decided := d.Result.(*leaseOutcome)
	if !decided {
		o = &leaseOutcome{}
	}
	o.pending = d.Pending
	switch {
	case o.pending != nil: // leaseStored reports what becomes of it
	case d.Write != nil && o.err != nil: // no lease: the write corrects the stamps of a call that is refused
		s.observer.Committed(CommitAdmin, err)
	case d.Write != nil, err != nil && !errors.Is(err, ErrNotApplied):
		s.observer.Committed(CommitLease, err)
	}
	return o, err
}

// acquireLease leases the device to the conversation for that purpose. Where the store returns early, the lease is not durable yet: see
// leaseStored. The conversation has a response afterwards, and no lease, if one is stored for the call that it repeats.
func (s *Service) acquireLease(ctx context.Context, c *conversation, purpose leasePurpose) error {
	ctx, end := tracing.Start(ctx, "lease")
	err := s.retryUntilFree(ctx, c, func() error { return s.tryLease(ctx, c, s.leaseRequest(c, purpose)) })
	if err == nil && c.pending.write != nil {
		c.pending.end = end
	} else {
		end(err)
	}
	return err
}

// tryLease runs the request once. ErrBusy, ErrConflict and ErrExists mean that another try may succeed.
func (s *Service) tryLease(ctx context.Context, c *conversation, q *leaseRequest) error {
	s.setDeadline(c)
	q.noPermit = s.acquirePermit(c)
	began := time.Now()
	o, storeErr := s.runLease(ctx, q)
	if storeErr != nil {
		s.releasePermit(c)
		return s.leaseNotStored(c, q, storeErr)
	}
	s.recordLease(c, o)
	if o.isLeased() {
		c.pending = pendingLease{write: o.pending, request: q, until: began.Add(s.limits.StoreTimeout)}
		return nil
	}
	s.releasePermit(c) // the next try may have to wait
	if o.response != nil {
		return s.loadResponse(ctx, c, *o.response)
	}
	return o.err
}

// retryUntilFree calls try with growing pauses until it finds the device leased by no other conversation and changed by none
// meanwhile. It gives up when the caller leaves, when the next try could end after the conversation's queueUntil, and when the service
// is stopping. The error of a record that others keep changing is ErrBusy, like that of one that others keep leased.
func (s *Service) retryUntilFree(ctx context.Context, c *conversation, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := try()
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) {
			err = &RetryAfterError{ErrBusy, maxPause}
		}
		switch {
		case !errors.Is(err, ErrBusy):
			return err
		case s.isStopping():
			return ErrStopping
		case time.Now().Add(pause + updatePauses).After(c.queueUntil):
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
	return pause/2 + rand.N(pause/2) //nolint:gosec // no secret depends on it
}

// withLease returns r with a lease for the conversation, or ErrBusy with a RetryAfterError.
func (r Record) withLease(conversation string, now, until time.Time) (Record, error) {
	if r.LeasedAt(now) {
		return r, &RetryAfterError{ErrBusy, r.Lease.Until.Sub(now)}
	}
	if r.Lease != nil { // its process ended or is paused: what it sent is unknown
		r = r.withDoubt(r.Lease.Until, r.Lease.Revision) // since the old lease ran out, and because of it
		r = r.withLeaseOvertaken()
	}
	r.Revision++
	r.Lease = &Lease{Conversation: conversation, Revision: r.Revision, Since: now, Until: until}
	return r, nil
}

// withCosts returns r with a PIN attempt and an OTP of the conversation, or why it must not have them. Both are stored with the lease, so
// that a crash makes neither cheaper.
func (r Record) withCosts(conversation string, clock ClockReading, limits *Limits) (Record, error) {
	var err error
	if r.Guard, err = r.Guard.take(conversation, clock, limits.Guard); err != nil {
		return r, err
	}
	r.Quota, err = r.Quota.take(conversation, clock, r.Lease.Until, limits.OTPsPerDay)
	return r, err
}
