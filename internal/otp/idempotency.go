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
	// Answer returns what the caller is told, for an OTP or for an error. This package stores the answer and does not read it. Answer
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

// reserveKey marks the key of the request as in flight. ErrKeyInFlight, with a RetryAfterError, means that it is already. Every request
// whose key was reserved needs a releaseKey. A request without a key needs no reservation.
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
//	the stored response            | result
//	was discarded, or is too old   | ErrKeySpent
//	is from the store's future     | ErrKeySpent, and is discarded: the clock was set back, and its age is unknown for good
//	belongs to another body        | ErrKeyReused, and is discarded: a caller that tries other bodies may be trying PINs
//	belongs to the same body       | the response
//
// The store reads and writes responses together with records. So a lease proves that the call has no response yet, and nothing is taken
// from the account before loadResponse.
func (s *Service) loadResponse(ctx context.Context, c *conversation, stored StoredResponse) error {
	now := c.now()
	switch {
	case stored.Answer.IsEmpty() || !now.Before(stored.At.Add(s.limits.ResponseLifetime)):
		return ErrKeySpent
	case stored.At.Sub(now) > leaseMargin:
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
// the conversation ends, and as long as inWebo has answered no finalize: then the call may simply run again.
func (c *conversation) responseToStore(o outcome, callerErr error, last bool) *KeyedResponse {
	call := c.request.Idempotency
	ends := last || errors.Is(callerErr, ErrSuperseded)
	finalized := o.finalized || c.rounds > 0
	if call == nil || !ends || !finalized {
		return nil
	}
	return &KeyedResponse{Key: call.Key, IsOTP: callerErr == nil, StoredResponse: StoredResponse{
		At: c.now(), Fingerprint: call.Body.Fingerprint(), Answer: call.Answer(o.otp, callerErr),
	}}
}
