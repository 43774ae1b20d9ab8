package otp

import (
	"context"
	"errors"
	"strconv"
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

// settleParams is what settling an outcome must know of the conversation.
func (c *conversation) settleParams(last bool) settleParams {
	return settleParams{
		conversation: c.id, rounds: c.rounds, enrolls: c.action == actionEnroll, last: last, left: c.record,
	}
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

// fetch returns the record as it is stored now, and sets the store's time. A missing record is an empty one of
// revision 0.
func (s *Service) fetch(ctx context.Context, c *conversation) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	row, now, err := s.store.Fetch(ctx, c.ask.Account)
	if !now.IsZero() {
		c.storeTimeAt = c.clock()
		c.storeTime = s.clock.Look(c.storeTimeAt, now)
	}
	c.seen = row.Body
	if errors.Is(err, ErrNotFound) {
		row.Account, err = c.ask.Account, nil
	}
	return c.tolerance.decode(Snapshot{Row: row, Fault: err}, &s.limits)
}

// write makes the record durable, with the audit line of the stage.
func (s *Service) write(ctx context.Context, what Commit, w Write) error {
	return s.writeBy(ctx, time.Now().Add(s.limits.StoreTimeout), what, w)
}

// writeBy is write with a deadline of the caller, and no longer than for any write.
func (s *Service) writeBy(ctx context.Context, until time.Time, what Commit, w Write) error {
	if longest := time.Now().Add(s.limits.StoreTimeout); until.After(longest) {
		until = longest
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	verb := s.store.Replace
	if w.Row.Revision == 1 {
		verb = s.store.Create
	}
	err := verb(ctx, w)
	s.observer.Committed(what, err)
	return err
}

// nextWriteID names the conversation's next write; a repeat of that write keeps its name.
func (c *conversation) nextWriteID() string {
	c.writes++
	return c.id + "/" + strconv.Itoa(c.writes)
}

// writeOf is the write of next over the record from under id, with its audit line.
func (c *conversation) writeOf(id string, from, next Record, stage Stage, outcome string) (Write, error) {
	return writeOver(id, from, next, c.ask.entry(c.action, c.now(), stage, outcome, next.Step))
}

// entry returns the entry of the audit log for a stage of the call.
func (a Ask) entry(action string, at time.Time, stage Stage, outcome string, step uint64) Line {
	return Line{
		At: at, Account: a.Account, Caller: a.Caller, Transaction: a.Transaction, Action: action, Stage: stage, Outcome: outcome,
		Step: step,
	}
}

// writeOver returns the write of next over the record from, with its audit entry.
func writeOver(id string, from, next Record, entry Line) (Write, error) {
	same := next.hasVaultOf(from)
	row, err := encode(next, same)
	w := Write{ID: id, Row: row, SameVault: same, Line: entry}
	if claim := next.claim(); claim != from.claim() || next.Revision == 1 || from.damaged {
		w.Claim = &claim
	}
	if epoch := next.ownEpoch(); epoch != from.storedEpoch || next.Revision == 1 {
		w.Epoch = &epoch
	}
	return w, err
}
