package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// IdempotentCall lets a caller repeat a call: for a while, the same Key and Body get the same answer again, and inWebo is asked nothing
// (docs/contract.md §5).
type IdempotentCall struct {
	// Key identifies the call within its account: 64 lower-case hex digits, made of the caller and of the key that the caller sent.
	Key string
	// Body is what the caller asks for.
	Body Fingerprinted
	// Answer returns what the caller receives, for an OTP or for an error. This package stores the answer and does not read it. Answer
	// may be called from another goroutine, and after the caller was told that the state is not stored.
	Answer func(otp secret.Text, err error) secret.Bytes
}

// Fingerprinted is a text with a fingerprint that identifies it, and from which nothing can be learned without a key.
type Fingerprinted interface {
	Fingerprint() []byte
	// Has reports whether the fingerprint is that of the text. An error that wraps ErrSealed means that the key of the fingerprint is
	// missing.
	Has(fingerprint []byte) (bool, error)
}

// key returns the key of the call, or the empty string if the call cannot be repeated.
func (i *IdempotentCall) key() string {
	if i == nil {
		return ""
	}
	return i.Key
}

// callKey identifies an idempotent call that is in flight in this process.
type callKey struct {
	account Account
	key     string
}

// reserveKey marks the key of the request as in flight. ErrKeyInFlight, with a RetryAfterError, means that it is in flight already. The
// caller must call releaseKey unless there is an error. For a request without a key both do nothing.
func (s *Service) reserveKey(request Request) error {
	if request.Idempotency == nil {
		return nil
	}
	wanted := callKey{request.Account, request.Idempotency.Key}
	s.mu.Lock()
	_, inFlight := s.reservedKeys[wanted]
	if !inFlight {
		s.reservedKeys[wanted] = struct{}{}
	}
	s.mu.Unlock()
	if inFlight {
		return &RetryAfterError{ErrKeyInFlight, s.busyFor(request.Account)}
	}
	return nil
}

// releaseKey ends reserveKey.
func (s *Service) releaseKey(request Request) {
	if request.Idempotency == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reservedKeys, callKey{request.Account, request.Idempotency.Key})
}

// checkInFlight returns ErrKeyInFlight, with a RetryAfterError, if the record is leased to a call with that key, in whichever process.
func (r *Record) checkInFlight(key string, now time.Time) error {
	if key != "" && r.LeasedAt(now) && r.Lease.IdempotencyKey == key {
		return &RetryAfterError{ErrKeyInFlight, r.Lease.Until.Sub(now)}
	}
	return nil
}

// loadResponse sets the conversation's response to the one that is stored under its key, or returns why the caller does not get it:
//
//	the stored response                    | error        | the key
//	was discarded, or is too old           | ErrKeySpent  | stays spent
//	is from the future of the store        | ErrKeySpent  | is spent: the clock was set back, and its age can never be known again
//	has a fingerprint without a key for it | ErrStore     | stays as it is: a process that has the key can compare
//	belongs to another body                | ErrKeyReused | is spent: a caller that tries other bodies may be trying PINs
//	belongs to the same body               | none         | stays as it is
//
// Store.Update reads a record together with the response to the call, and leaseRequest.decide leases the record only if there is no
// response. The write that settles a call stores its response. So a conversation that has a lease repeats no call that was answered, and
// one that has a response has no lease, and has taken nothing from the account.
func (s *Service) loadResponse(ctx context.Context, c *conversation, stored StoredResponse) error {
	now := c.now()
	switch {
	case stored.Answer.IsEmpty() || !now.Before(stored.At.Add(s.limits.ResponseLifetime)):
		return ErrKeySpent
	case stored.At.Sub(now) > leaseMargin: // up to that, two processes may differ in pace
		return s.discardResponse(ctx, c, ErrKeySpent)
	}
	isSame, err := c.request.Idempotency.Body.Has(stored.Fingerprint)
	if err != nil {
		return wrapCause(ErrStore, err)
	}
	if !isSame {
		return s.discardResponse(ctx, c, ErrKeyReused)
	}
	c.response = stored.Answer
	return nil
}

// discardResponse discards the response that is stored under the conversation's key, and returns cause, or the error of the store.
func (s *Service) discardResponse(ctx context.Context, c *conversation, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	if err := s.store.DiscardResponse(ctx, c.request.Account, c.request.Idempotency.Key); err != nil {
		return wrapCause(ErrStore, err)
	}
	return cause
}

// responseToStore returns what is stored with the outcome for a repeat of the call. It is nil for a call that cannot be repeated, before
// the conversation ends, and where inWebo has answered no finalize: without an answer there is nothing to repeat, and the call may run
// again.
func (c *conversation) responseToStore(o outcome, callerErr error, last bool) *KeyedResponse {
	call := c.request.Idempotency
	ends := last || errors.Is(callerErr, ErrSuperseded) // a superseded conversation makes no second round
	finalizeAnswered := o.finalized || c.rounds > 0
	if call == nil || !ends || !finalizeAnswered {
		return nil
	}
	return &KeyedResponse{Key: call.Key, IsOTP: callerErr == nil, StoredResponse: StoredResponse{
		At: c.now(), Fingerprint: call.Body.Fingerprint(), Answer: call.Answer(o.otp, callerErr),
	}}
}
