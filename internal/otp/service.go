package otp

import (
	"context"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// Limits are the settings of a Service.
type Limits struct {
	// Deadline bounds a conversation, from before its hold to its answer (D). No finalize starts with less than
	// FinalizeTimeout left of it.
	Deadline        time.Duration
	FinalizeTimeout time.Duration
	// QueueWait bounds the wait for another conversation of the same device.
	QueueWait time.Duration
	// StoreTimeout bounds one call of the store.
	StoreTimeout time.Duration

	Guard      GuardLimits
	OTPsPerDay int // in any 24 hours; 0 turns the quota off
	// AnswerLife is how long an answer is kept for a repeat of its call.
	AnswerLife time.Duration

	// CircuitFaults is how many conversations in a row may fail to reach inWebo before the circuit opens for CircuitTimeout;
	// 0: any number.
	CircuitFaults  int
	CircuitTimeout time.Duration
	// SetupRepeats is how many of a hundred setups may be sent a second time when the network broke off.
	SetupRepeats int

	Activations ActivationLimits

	// DeviceName is what inWebo is told to call the devices that are enrolled from now on; it is kept for display.
	DeviceName string

	// ServiceID chooses among several services of a device, by id or name; empty: the only one.
	ServiceID string

	// Now returns the time that passes in this process. The store's clock is compared with it. Nil means time.Now.
	Now func() time.Time
}

// holdMargin is how long after its deadline a hold is still respected, for clocks that differ in pace.
const holdMargin = 2 * time.Second

// Inwebo makes the exchanges; *inwebo.Client does.
type Inwebo interface {
	ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error)
	ActivateFinalize(ctx context.Context, activation inwebo.Activation) (inwebo.ActivateFinalize, error)
	MSFinalize(ctx context.Context, who inwebo.Identity, secrets []inwebo.ServiceSecret, proofs ratchet.Proofs) (inwebo.Finalized, error)
	OTPSetup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error)
	OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, proofs ratchet.Proofs) (inwebo.OTPFinalize, error)
}

// Service issues OTPs and enrols devices. It is safe for concurrent use, in any number of processes on one store.
type Service struct {
	store    Store
	inwebo   Inwebo
	limits   Limits
	observer Observer
	random   io.Reader
	lanes    *lanes
	circuit  *admission.Breaker
	repeats  *admission.Budget
	clock    StoreClock // of the store

	life context.Context //nolint:containedctx // the service's own; it ends when no settle is awaited any more
	kill context.CancelFunc

	mu       sync.Mutex
	stopping bool
	talking  map[*conversation]struct{}
	claims   map[claim]struct{}
	quiet    *sync.Cond // talking became empty
}

// New makes a service. A nil observer is told nothing.
func New(store Store, client Inwebo, limits Limits, observer Observer) *Service {
	if observer == nil {
		observer = unobserved{}
	}
	if limits.Now == nil {
		limits.Now = time.Now
	}
	s := &Service{
		store: store, inwebo: client, limits: limits, observer: observer, random: rand.Reader,
		lanes: newLanes(), talking: make(map[*conversation]struct{}), claims: make(map[claim]struct{}),
		circuit: admission.NewBreaker(limits.CircuitFaults, limits.CircuitTimeout, observer.Circuit),
		repeats: admission.NewBudget(limits.SetupRepeats),
	}
	s.life, s.kill = context.WithCancel(context.Background())
	s.quiet = sync.NewCond(&s.mu)
	return s
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
