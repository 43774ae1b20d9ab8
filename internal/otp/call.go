package otp

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/secret"
)

// Ask names the caller and the action, as the audit log records them.
type Request struct {
	Account     Account
	Caller      string
	Transaction string // the request's UUID; empty for commands
	// Repeat, when set, lets the call be repeated. Only IssueOTP knows it.
	Idempotency *IdempotentCall
}

// conversation is one lease of a device, from hold to settle. Only one goroutine at a time has it.
type conversation struct {
	request Request
	action  string
	id      string
	unlock  func()            // the account's lane
	permit  *admission.Permit // to exchange with inWebo; nil: it exchanges nothing
	span    trace.Span

	tolerance tolerance // which records it can work on

	queueUntil time.Time     // until when it queues for the hold, by this machine's clock
	timeout    time.Duration // how long the conversation may take
	deadline   time.Time     // by this machine's clock
	record     Record        // as this conversation last wrote it, and never as another left it
	body       []byte        // of the row with that record
	seen       []byte        // the body of the row that was last fetched; nil when there was none
	leased     bool          // the record has the lease, or may have it
	wasInDoubt bool          // the device was in doubt when the hold was taken
	rounds     int           // accepted so far
	answer     secret.Bytes  // that was kept of the call which this one repeats; empty when it repeats none
	writes     int
	detached   bool // the caller was answered before the end; a goroutine of ours still settles, and ends it

	clock       func() time.Time // Limits.Now
	storeTime   ClockReading     // as last fetched …
	storeTimeAt time.Time        // … when clock returned this
}

// now is the store's time, the only one that records know.
func (c *conversation) now() time.Time {
	return c.reading().Now.Truncate(time.Microsecond)
}

// reading is the store's time, with how far its clock can be believed.
func (c *conversation) reading() ClockReading {
	return c.storeTime.At(c.clock().Sub(c.storeTimeAt))
}

// enter queues for the account's lane and begins a conversation in it.
func (s *Service) enter(ctx context.Context, request Request, action string, timeout time.Duration) (*conversation, error) {
	if err := s.reserveKey(request); err != nil {
		return nil, err
	}
	queueUntil := time.Now().Add(s.limits.QueueWait)
	unlock, err := s.accountLocks.enter(ctx, request.Account, queueUntil)
	if err != nil {
		s.releaseKey(request)
		return nil, &RetryAfterError{ErrBusy, s.busyFor(request.Account)}
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

// Refuse makes every new call answer ErrStopping; conversations go on.
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

// setDeadline lets the time of the conversation begin now.
func (s *Service) setDeadline(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.deadline = time.Now().Add(c.timeout)
}

// holds records what became of the conversation's request for a lease.
func (s *Service) recordLease(c *conversation, o leaseOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.storeTime, c.storeTimeAt = o.storeTime, o.readAt
	c.record, c.body, c.wasInDoubt, c.leased = o.record.stored(), o.body, o.inDoubt, o.isLeased()
}

// mayHold records that the conversation may have its lease: a Drain that returns it up must name its account.
func (s *Service) markLeased(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.leased = true
}

// LastDeadline is when the last of the conversations under way is over, but for an outcome that the store does not take.
// It is now when there is none.
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

// Drain refuses new calls, and those that have no hold yet, and waits until every conversation is settled, or ctx ends. It
// returns the accounts whose outcome it gave up, which are in doubt when their holds are over, but for those whose hold is
// not stored after all: none, when all were settled in time.
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
	s.cancel() // not before they are named: a conversation that is given up is forgotten at once
	slices.Sort(givenUp)
	return givenUp
}

// begin counts the conversation among those that a Drain waits for.
func (s *Service) begin(c *conversation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return ErrStopping
	}
	s.active[c] = struct{}{}
	return nil
}

// busyFor is how long the account's lane is closed at most; only a store that does not take an outcome closes it longer.
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

// finish ends the conversation, unless the goroutine that still settles it will.
func (s *Service) finish(c *conversation) {
	s.releasePermit(c)
	if !c.detached {
		s.end(c)
	}
}

// end is called once for each begin, when nothing of the conversation is left to do.
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

// lanes queue the callers of one process, an account a lane, so that they need not fight over the record.
type accountLocks struct {
	mu   sync.Mutex
	open map[Account]*accountLock
}

// lane lets one in at a time; entered counts those inside and waiting.
type accountLock struct {
	turn    chan struct{}
	entered int
}

func newAccountLocks() *accountLocks { return &accountLocks{open: make(map[Account]*accountLock)} }

// enter waits for the account's turn, until patience at the latest. leave is to be called once, by its holder then; the
// error is the context's. A lane that is free is entered at once, even by who would not wait at all.
func (l *accountLocks) enter(ctx context.Context, account Account, queueUntil time.Time) (unlock func(), err error) {
	a := l.join(account)
	unlock = func() {
		<-a.turn
		l.unref(account, a)
	}
	select {
	case a.turn <- struct{}{}:
		return unlock, nil
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, queueUntil)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
		return unlock, nil
	case <-ctx.Done():
		l.unref(account, a)
		return nil, ctx.Err()
	}
}

func (l *accountLocks) join(account Account) *accountLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.open[account]
	if a == nil {
		a = &accountLock{turn: make(chan struct{}, 1)}
		l.open[account] = a
	}
	a.entered++
	return a
}

func (l *accountLocks) unref(account Account, a *accountLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.entered--; a.entered == 0 {
		delete(l.open, account)
	}
}
