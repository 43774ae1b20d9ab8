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
type Ask struct {
	Account     Account
	Caller      string
	Transaction string // the request's UUID; empty for commands
	// Repeat, when set, lets the call be repeated. Only IssueOTP knows it.
	Repeat *Repeat
}

// conversation is one lease of a device, from hold to settle. Only one goroutine at a time has it.
type conversation struct {
	ask    Ask
	action string
	id     string
	leave  func()            // the account's lane
	permit *admission.Permit // to exchange with inWebo; nil: it exchanges nothing
	span   trace.Span

	tolerance tolerance // which records it can work on

	patience time.Time     // until when it queues for the hold, by this machine's clock
	within   time.Duration // how long the conversation may take
	deadline time.Time     // by this machine's clock
	record   Record        // as this conversation last wrote it, and never as another left it
	body     []byte        // of the row with that record
	seen     []byte        // the body of the row that was last fetched; nil when there was none
	leased   bool          // the record has the lease, or may have it
	doubtful bool          // the device was in doubt when the hold was taken
	rounds   int           // accepted so far
	answer   secret.Bytes  // that was kept of the call which this one repeats; empty when it repeats none
	writes   int
	left     bool // the caller was answered before the end; a goroutine of ours still settles, and ends it

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
func (s *Service) enter(ctx context.Context, ask Ask, action string, within time.Duration) (*conversation, error) {
	if err := s.claim(ask); err != nil {
		return nil, err
	}
	patience := time.Now().Add(s.limits.QueueWait)
	leave, err := s.lanes.enter(ctx, ask.Account, patience)
	if err != nil {
		s.disclaim(ask)
		return nil, &Wait{ErrBusy, s.busyFor(ask.Account)}
	}
	c := &conversation{
		ask: ask, action: action, id: uuid.Must(uuid.NewV7()).String(), leave: leave, patience: patience, within: within,
		span: trace.SpanFromContext(ctx), clock: s.limits.Now,
	}
	if err := s.begin(c); err != nil {
		s.disclaim(ask)
		leave()
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
	c.deadline = time.Now().Add(c.within)
}

// holds records what became of the conversation's request for a lease.
func (s *Service) holds(c *conversation, o leaseOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.storeTime, c.storeTimeAt = o.storeTime, o.readAt
	c.record, c.body, c.doubtful, c.leased = o.record.stored(), o.body, o.inDoubt, o.isLeased()
}

// mayHold records that the conversation may have its lease: a Drain that returns it up must name its account.
func (s *Service) mayHold(c *conversation) {
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
	for c := range s.talking {
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
		s.quiet.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.talking) > 0 && ctx.Err() == nil {
		s.quiet.Wait()
	}
	var givenUp []Account
	for c := range s.talking {
		if c.leased {
			givenUp = append(givenUp, c.ask.Account)
		}
	}
	s.kill() // not before they are named: a conversation that is given up is forgotten at once
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
	s.talking[c] = struct{}{}
	return nil
}

// busyFor is how long the account's lane is closed at most; only a store that does not take an outcome closes it longer.
func (s *Service) busyFor(account Account) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.talking {
		if c.ask.Account == account {
			return max(time.Until(c.patience.Add(c.within)), lastRetry)
		}
	}
	return s.limits.Deadline
}

// finish ends the conversation, unless the goroutine that still settles it will.
func (s *Service) finish(c *conversation) {
	s.releasePermit(c)
	if !c.left {
		s.end(c)
	}
}

// end is called once for each begin, when nothing of the conversation is left to do.
func (s *Service) end(c *conversation) {
	c.leave()
	s.disclaim(c.ask)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.talking, c)
	if len(s.talking) == 0 {
		s.quiet.Broadcast()
	}
}

// lanes queue the callers of one process, an account a lane, so that they need not fight over the record.
type lanes struct {
	mu   sync.Mutex
	open map[Account]*lane
}

// lane lets one in at a time; entered counts those inside and waiting.
type lane struct {
	turn    chan struct{}
	entered int
}

func newLanes() *lanes { return &lanes{open: make(map[Account]*lane)} }

// enter waits for the account's turn, until patience at the latest. leave is to be called once, by its holder then; the
// error is the context's. A lane that is free is entered at once, even by who would not wait at all.
func (l *lanes) enter(ctx context.Context, account Account, patience time.Time) (leave func(), err error) {
	a := l.join(account)
	leave = func() {
		<-a.turn
		l.part(account, a)
	}
	select {
	case a.turn <- struct{}{}:
		return leave, nil
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, patience)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		l.part(account, a)
		return nil, ctx.Err()
	}
}

func (l *lanes) join(account Account) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.open[account]
	if a == nil {
		a = &lane{turn: make(chan struct{}, 1)}
		l.open[account] = a
	}
	a.entered++
	return a
}

func (l *lanes) part(account Account, a *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.entered--; a.entered == 0 {
		delete(l.open, account)
	}
}
