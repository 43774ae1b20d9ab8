// Package otp decides: it issues OTPs, enrolls devices, guards PINs and quotas, and remembers before it acts.
//
// A call is a conversation: it leases the record of its account, exchanges with inWebo, and settles the outcome. One conversation at a time
// uses a device. What it is going to do is durable before inWebo gets a proof, and its outcome is durable before an OTP leaves. The package
// must never depend on HTTP, SQL, XML or public codes, and never logs: its errors and its Observer report what happened.
//
// The files follow the life of a call: conversation, lease, exchange, settle, with apply and change for what an outcome does to a record.
// issue, enroll and activation, and admin are the calls. record, guard, quota, history and unread are what is stored of an account, in
// the form of codec, and commit, store and update write it; pending is about a lease that is not durable yet. idempotency, clock, errors
// and status serve all of them.
package otp

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// Account names whom a device belongs to: an opaque text of 1 to 128 printable ASCII characters that does not begin or end
// with a blank (docs/contract.md §3).
type Account string

// maxAccountLength is the longest name of an account.
const maxAccountLength = 128

// ErrAccountName means that a text cannot name an account.
var ErrAccountName = errors.New("an account is named by 1 to 128 printable ASCII characters, without a blank at either end")

// Before returns the greatest name that sorts before the account's and that no name lies between; it is empty when there is none.
func (a Account) Before() Account {
	if a == "" {
		return ""
	}
	start, last := a[:len(a)-1], a[len(a)-1]
	if last == ' ' {
		return start
	}
	return start + Account(last-1) + Account(strings.Repeat("~", maxAccountLength-len(a)))
}

// ParseAccount checks that name can name an account that may not exist yet. The error is ErrAccountName.
func ParseAccount(name string) (Account, error) {
	if strings.Trim(name, " ") != name {
		return "", ErrAccountName
	}
	return ParseStoredAccount(name)
}

// ParseStoredAccount checks that name can name an account that a store has. Earlier versions accepted blanks at the ends of a
// name; the accounts that got such names must stay within reach of commands. The error is ErrAccountName.
func ParseStoredAccount(name string) (Account, error) {
	if name == "" || len(name) > maxAccountLength {
		return "", ErrAccountName
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return "", ErrAccountName
		}
	}
	return Account(name), nil
}

// Request names the account of a call, and its caller for the audit log.
type Request struct {
	Account     Account
	Caller      string
	Transaction string // the UUID of the HTTP request; empty for commands
	// Idempotency, if set, lets the caller repeat the call. Only IssueOTP uses it.
	Idempotency *IdempotentCall
	// KeysVersion, if it is not 0, is the version of the API keys in which the caller was known. The account is leased, and a stored
	// response returned, only if the store still has that version; otherwise the error is ErrKeysChanged. Only IssueOTP uses it.
	KeysVersion KeysVersion
	// QueuedAt is when the call began to wait for its account; the zero time: now.
	QueuedAt time.Time
}

// KeysVersion identifies a state of all API keys of a store: while it is the same, no key is changed.
type KeysVersion int64

// Limits are the settings of a Service.
type Limits struct {
	// Deadline bounds a conversation, from before its lease to its answer (D). No finalize starts with less than
	// FinalizeTimeout left of it.
	Deadline        time.Duration
	FinalizeTimeout time.Duration
	// QueueWait bounds the wait for another conversation of the same device.
	QueueWait time.Duration
	// StoreTimeout bounds one call of the store.
	StoreTimeout time.Duration

	Guard      GuardLimits
	OTPsPerDay int // in any 24 hours; 0 turns the quota off
	// ResponseLifetime is how long an answer is kept for a repeat of its call.
	ResponseLifetime time.Duration

	// CircuitFaults is how many conversations in a row may fail to reach inWebo before the circuit opens for CircuitTimeout;
	// 0: any number.
	CircuitFaults  int
	CircuitTimeout time.Duration
	// SetupRepeats is how many of a hundred setups may be sent a second time when the network broke off.
	SetupRepeats int

	Activations ActivationLimits

	// DeviceName is the name that inWebo gets for the devices that are enrolled from now on; it is kept for display.
	DeviceName string

	// ServiceID chooses among several services of a device, by id or name; empty: the only one.
	ServiceID string

	// Now returns the time that passes in this process. The store's clock is compared with it. Nil means time.Now.
	Now func() time.Time
}

// leaseMargin is how long after its deadline a lease is still respected, for clocks that differ in pace.
const leaseMargin = 2 * time.Second

// Inwebo makes the exchanges; *inwebo.Client does.
type Inwebo interface {
	ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error)
	ActivateFinalize(ctx context.Context, activation inwebo.Activation) (inwebo.ActivateFinalize, error)
	MSFinalize(ctx context.Context, who inwebo.Identity, secrets []inwebo.ServiceSecret, proofs ratchet.Proofs) (inwebo.Finalized, error)
	OTPSetup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error)
	OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, proofs ratchet.Proofs) (inwebo.OTPFinalize, error)
}

// Service issues OTPs and enrolls devices. It is safe for concurrent use, in any number of processes on one store.
type Service struct {
	store        Store
	inwebo       Inwebo
	limits       Limits
	observer     Observer
	random       io.Reader
	accountLocks *accountLocks
	circuit      *admission.Breaker
	setupBudget  *admission.Budget
	clock        StoreClock // of the store

	ctx    context.Context //nolint:containedctx // the service's own; it ends when no settle is awaited any more
	cancel context.CancelFunc

	mu           sync.Mutex
	stopping     bool
	active       map[*conversation]struct{}
	reservedKeys map[callKey]struct{}
	idle         *sync.Cond // active became empty
}

// New returns a Service. The observer may be nil.
func New(store Store, client Inwebo, limits Limits, observer Observer) *Service {
	if observer == nil {
		observer = unobserved{}
	}
	if limits.Now == nil {
		limits.Now = time.Now
	}
	s := &Service{
		store: store, inwebo: client, limits: limits, observer: observer, random: rand.Reader,
		accountLocks: newAccountLocks(), active: make(map[*conversation]struct{}), reservedKeys: make(map[callKey]struct{}),
		circuit:     admission.NewBreaker(limits.CircuitFaults, limits.CircuitTimeout, observer.Circuit),
		setupBudget: admission.NewBudget(limits.SetupRepeats),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.idle = sync.NewCond(&s.mu)
	return s
}

// Observer receives what operators watch. Its methods are called on the path of an OTP and must not block.
type Observer interface {
	// Committed is called after every try to write a record.
	Committed(what Commit, err error)
	// CommitWindow is called with the time for which an answer that moved the ratchet was not durable.
	CommitWindow(answerToCommit time.Duration)
	// Panicked is called after a panic in a task that goes on all the same. err and stack carry no secret.
	Panicked(task string, err error, stack []byte)
	// Retrying is called when a conversation begins to retry its settle (+1), and when that ends (−1).
	Retrying(change int)
	// Circuit is called when the circuit opens, half-opens or closes.
	Circuit(state admission.State)
}

// Commit says what a write to the store is for.
type Commit string

// What writes are for.
const (
	CommitLease  Commit = "lease"
	CommitSettle Commit = "settle"
	CommitAdmin  Commit = "admin" // what an administrator changes
)

type unobserved struct{}

func (unobserved) Committed(Commit, error) {}

func (unobserved) CommitWindow(time.Duration) {}

func (unobserved) Retrying(int) {}

func (unobserved) Panicked(string, error, []byte) {}

func (unobserved) Circuit(admission.State) {}
