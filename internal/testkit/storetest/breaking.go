package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// Breaking is a store that breaks on purpose: before each call, Decide says how that call goes. It is a decorator, for
// whatever store lies beneath; with a Decide that is nil, or that always returns the zero Fault, it changes nothing.
type Breaking struct {
	Store otp.Store
	// Decide is asked in the goroutine of the caller, so it may also wait, or look at what is stored.
	Decide func(Call) Fault
	Late   bool // Update never returns early

	calls atomic.Int64
}

// Call is a call of a store that is about to happen.
type Call struct {
	N       int64 // the how many-th call it is, from 1; all verbs count together
	Verb    Verb
	Account otp.Account
	Write   otp.Write // of a Create and a Replace
	Key     string    // of an Update and a Spend
}

// Verb names one of the calls of otp.Store.
type Verb string

// The verbs.
const (
	Fetch           Verb = "fetch"
	Create          Verb = "create"
	Replace         Verb = "replace"
	DiscardResponse Verb = "spend"

	Update      Verb = "update" // what it reads; its write is a Create or a Replace
	BySerial    Verb = "by serial"
	List        Verb = "list"
	AppendAudit Verb = "note"
)

// Fault is how a call goes wrong. The zero Fault lets it go as it would.
type Fault struct {
	// Err is the caller's error: one that otp does not know for an outcome that is unknown, or one that otp names.
	Err error
	// Applied means that a write takes effect all the same. If the inner store refuses it, then that is the result.
	Applied bool
}

var _ otp.Store = (*Breaking)(nil)

// Fetch asks Decide, then the inner store.
func (b *Breaking) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	if fault := b.decide(Call{Verb: Fetch, Account: account}); fault.Err != nil {
		return otp.Row{}, time.Time{}, fault.Err
	}
	return b.Store.Fetch(ctx, account)
}

// Update reads and writes in two steps, and asks Decide before each.
func (b *Breaking) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	d, err := otp.UpdateInSteps(ctx, func(ctx context.Context) (otp.Snapshot, error) {
		if fault := b.decide(Call{Verb: Update, Account: account, Key: key}); fault.Err != nil {
			return otp.Snapshot{}, fault.Err
		}
		return Snapshot(ctx, b.Store, account, key)
	}, b, decide)
	if b.Late {
		return d, err
	}
	return ReturnEarly(d, err)
}

// ReturnEarly is how a store returns early from an Update that has returned d and err, where the caller of Update allows that: the
// failure of a write is told by Pending.
func ReturnEarly(d otp.Decision, err error) (otp.Decision, error) {
	if d.Write == nil || !d.Early || isConclusive(err) {
		return d, err
	}
	d.Pending = ended{err}
	return d, nil
}

// ended is a pending write that has ended with that error.
type ended struct{ err error }

// Wait returns the error.
func (e ended) Wait(context.Context) error { return e.err }

// isConclusive reports whether the error refuses a write.
func isConclusive(err error) bool {
	return errors.Is(err, otp.ErrConflict) || errors.Is(err, otp.ErrExists) || errors.Is(err, otp.ErrDeviceTaken) ||
		errors.Is(err, otp.ErrHistoryChanged)
}

// BySerial asks Decide, then the inner store.
func (b *Breaking) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	if fault := b.decide(Call{Verb: BySerial}); fault.Err != nil {
		return nil, fault.Err
	}
	return b.Store.BySerial(ctx, serial)
}

// List asks Decide, then the inner store.
func (b *Breaking) List(ctx context.Context, after otp.Account, limit int) ([]otp.Row, error) {
	if fault := b.decide(Call{Verb: List, Account: after}); fault.Err != nil {
		return nil, fault.Err
	}
	return b.Store.List(ctx, after, limit)
}

// DiscardResponse asks Decide, then the inner store.
func (b *Breaking) DiscardResponse(ctx context.Context, account otp.Account, key string) error {
	return b.write(Call{Verb: DiscardResponse, Account: account, Key: key}, func() error { return b.Store.DiscardResponse(ctx, account, key) })
}

// AppendAudit asks Decide, then the inner store.
func (b *Breaking) AppendAudit(ctx context.Context, lines []otp.AuditEntry) error {
	return b.write(Call{Verb: AppendAudit}, func() error { return b.Store.AppendAudit(ctx, lines) })
}

// Create asks Decide, then the inner store.
func (b *Breaking) Create(ctx context.Context, w otp.Write) error {
	return b.write(Call{Verb: Create, Account: w.Row.Account, Write: w}, func() error { return b.Store.Create(ctx, w) })
}

// Replace asks Decide, then the inner store.
func (b *Breaking) Replace(ctx context.Context, w otp.Write) error {
	return b.write(Call{Verb: Replace, Account: w.Row.Account, Write: w}, func() error { return b.Store.Replace(ctx, w) })
}

func (b *Breaking) write(call Call, apply func() error) error {
	fault := b.decide(call)
	if fault.Err != nil && !fault.Applied {
		return fault.Err
	}
	if err := apply(); err != nil {
		return err
	}
	return fault.Err
}

func (b *Breaking) decide(call Call) Fault {
	call.N = b.calls.Add(1)
	if b.Decide == nil {
		return Fault{}
	}
	return b.Decide(call)
}
