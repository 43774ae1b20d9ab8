package otp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/secret"
)

// conversation is a call from its first wait to its last settle. One goroutine at a time uses it: that of the caller, or one that goes on
// after the caller. Drain and its like read the fields that are marked (mu) from other goroutines: such a field is written under
// Service.mu, and read by its own goroutine without it.
type conversation struct {
	request    Request
	action     string // for the audit log
	id         string
	span       trace.Span
	tolerance  tolerance         // which records it can work on
	queueUntil time.Time         // until when it waits for other calls of the account, by this process's clock
	timeout    time.Duration     // between the lease and the deadline
	unlock     func()            // releases the account's lock in this process
	permit     *admission.Permit // to exchange with inWebo; nil while it exchanges nothing

	deadline    time.Time    // by this process's clock (mu)
	record      Record       // as this conversation last wrote it, whatever was stored since
	body        []byte       // the body of the row that has that record
	fetchedBody []byte       // the body of the row that fetch last read; nil when there was no row
	pending     pendingLease // the lease, while it is not durable
	leased      bool         // the record has the lease, or may have it (mu)
	detached    bool         // its caller is answered; a goroutine waits until the store takes what is left, and ends it (mu)

	wasInDoubt bool         // the device was in doubt before the lease
	rounds     int          // how many rounds inWebo has accepted so far; an OTP has one or two
	response   secret.Bytes // the stored response to the call that this one repeats; empty when it repeats none
	writes     int          // how many IDs of writes nextWriteID has returned

	clock       func() time.Time // Limits.Now
	storeTime   ClockReading     // the time of the store, as it was last read
	storeTimeAt time.Time        // what clock returned at that moment
}

// now returns the time of the store, in microseconds. Records know no other time.
func (c *conversation) now() time.Time {
	return c.reading().Now.Truncate(time.Microsecond)
}

// reading returns the time of the store, with what is known of its clock.
func (c *conversation) reading() ClockReading {
	return c.storeTime.At(c.clock().Sub(c.storeTimeAt))
}

// enter waits for the account's lock and begins a conversation. The caller must call finish for it.
func (s *Service) enter(ctx context.Context, request Request, action string, timeout time.Duration) (*conversation, error) {
	if err := s.reserveKey(request); err != nil {
		return nil, err
	}
	queuedAt := request.QueuedAt
	if queuedAt.IsZero() {
		queuedAt = time.Now()
	}
	queueUntil := queuedAt.Add(s.limits.QueueWait)
	unlock, err := s.accountLocks.lock(ctx, request.Account, queueUntil)
	if err != nil {
		s.releaseKey(request)
		return nil, s.lockTaken(request.Account)
	}
	c := &conversation{
		request: request, action: action, id: uuid.Must(uuid.NewV7()).String(), unlock: unlock, queueUntil: queueUntil, timeout: timeout,
		span: trace.SpanFromContext(ctx), clock: s.limits.Now,
	}
	if err := s.begin(c); err != nil {
		s.releaseKey(request)
		unlock()
		return nil, err
	}
	return c, nil
}

// begin adds the conversation to those that Drain waits for.
func (s *Service) begin(c *conversation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return ErrStopping
	}
	s.active[c] = struct{}{}
	return nil
}

// finish ends the conversation for its caller. A detached one is ended by the goroutine that still settles it.
func (s *Service) finish(c *conversation) {
	s.releasePermit(c)
	if !c.detached {
		s.end(c)
	}
}

// end undoes enter. It is called once for each conversation, when nothing is left to do.
func (s *Service) end(c *conversation) {
	c.unlock()
	s.releaseKey(c.request)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, c)
	if len(s.active) == 0 {
		s.idle.Broadcast()
	}
}

// setDeadline starts the conversation's time.
func (s *Service) setDeadline(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.deadline = time.Now().Add(c.timeout)
}

// recordLease sets what the outcome of its lease request means for the conversation.
func (s *Service) recordLease(c *conversation, o *leaseOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.storeTime, c.storeTimeAt = o.storeTime, o.readAt
	c.record, c.body, c.wasInDoubt, c.leased = o.record, o.body, o.inDoubt, o.isLeased()
	c.record.setStored()
}

// detach records that the caller of the conversation is answered although the store has not taken all of it. The record may have its
// lease: a Drain that ends without it must name its account.
func (s *Service) detach(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.detached, c.leased = true, true
}

// errStoreAwaited means that a call waited for one whose outcome the store has not taken yet.
var errStoreAwaited = errors.New("the store has not taken an earlier call of the account yet")

// lockTaken returns the error of a call that has waited in vain for the account's lock: ErrStore, or ErrBusy with a RetryAfterError.
func (s *Service) lockTaken(account Account) error {
	if s.isDetached(account) {
		return wrapCause(ErrStore, errStoreAwaited)
	}
	return &RetryAfterError{ErrBusy, s.busyFor(account)}
}

// isDetached reports whether a conversation of the account is detached.
func (s *Service) isDetached(account Account) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.active {
		if c.request.Account == account && c.detached {
			return true
		}
	}
	return false
}

// busyFor returns how long the account's lock stays taken at most, unless the store takes no outcome: then it is retried beyond that time,
// at least every maxRetryPause.
func (s *Service) busyFor(account Account) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.active {
		if c.request.Account == account {
			return max(time.Until(c.queueUntil.Add(c.timeout)), maxRetryPause)
		}
	}
	return s.limits.Deadline
}

// Refuse makes every new call return ErrStopping. Conversations that have begun go on.
func (s *Service) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

func (s *Service) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// LastDeadline returns the time at which the last active conversation is over, unless the store does not take its outcome. It is now
// when none is active.
func (s *Service) LastDeadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := time.Now()
	for c := range s.active {
		if c.deadline.After(last) {
			last = c.deadline
		}
	}
	return last
}

// Drain refuses new calls, and those that have no lease yet, and waits until every conversation is settled, or ctx ends. It returns
// the accounts whose outcome it gave up: none, if all were settled in time. Their devices are in doubt when their leases are over,
// except those whose lease was not stored after all.
func (s *Service) Drain(ctx context.Context) []Account {
	s.Refuse()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.active) > 0 && ctx.Err() == nil {
		s.idle.Wait()
	}
	var givenUp []Account
	for c := range s.active {
		if c.leased {
			givenUp = append(givenUp, c.request.Account)
		}
	}
	s.cancel() // the goroutines that still retry end now
	slices.Sort(givenUp)
	return givenUp
}

// accountLocks has a lock for each account that has calls in this process. Its calls go on one at a time, so that they do not compete for
// the record in the store.
type accountLocks struct {
	mu    sync.Mutex
	locks map[Account]*accountLock
}

// accountLock is the lock of one account. refs counts the calls that have it or wait for it.
type accountLock struct {
	slot chan struct{} // of capacity 1: full while a call has the lock
	refs int
}

func newAccountLocks() *accountLocks { return &accountLocks{locks: make(map[Account]*accountLock)} }

// lock waits for the account's lock until queueUntil, or until ctx ends, and then returns the error of a context. A free lock is acquired
// even when no time is left, because the settings may allow no wait at all. The caller must call unlock once, unless there is an error.
func (l *accountLocks) lock(ctx context.Context, account Account, queueUntil time.Time) (unlock func(), err error) {
	a := l.ref(account)
	unlock = func() {
		<-a.slot
		l.unref(account, a)
	}
	select {
	case a.slot <- struct{}{}:
		return unlock, nil
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, queueUntil)
	defer cancel()
	select {
	case a.slot <- struct{}{}:
		return unlock, nil
	case <-ctx.Done():
		l.unref(account, a)
		return nil, ctx.Err()
	}
}

func (l *accountLocks) ref(account Account) *accountLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.locks[account]
	if a == nil {
		a = &accountLock{slot: make(chan struct{}, 1)}
		l.locks[account] = a
	}
	a.refs++
	return a
}

func (l *accountLocks) unref(account Account, a *accountLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.refs--; a.refs == 0 {
		delete(l.locks, account)
	}
}
