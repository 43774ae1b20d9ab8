package otp

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// Repeat makes a call one that may be repeated: the same Key and Body again get the same answer, for a while, and
// nothing is asked of inWebo (docs/contract.md §5).
type IdempotentCall struct {
	// Key names the call within its account: 64 lower-hex digits, of the caller and what the caller calls it.
	Key string
	// Body is what is asked.
	Body Fingerprinted
	// Answer returns what the caller is told: of an OTP, or of the error when there is none. The domain keeps it and does not
	// look into it. It may be called from another goroutine, and after the caller was told that the state is not stored.
	Answer func(otp secret.Text, err error) secret.Bytes
}

// Fingerprinted is a text that can be told from others by its fingerprint, from which nothing can be learned without a key.
type Fingerprinted interface {
	Fingerprint() []byte
	// Has reports whether the fingerprint is that of the text. An error that wraps ErrSealed says that its key is missing.
	Has(fingerprint []byte) (bool, error)
}

// key is that of a call that may be repeated, and empty for others.
func (r *IdempotentCall) key() string {
	if r == nil {
		return ""
	}
	return r.Key
}

// claim is a call that may be repeated, and is under way in this process.
type callKey struct {
	account Account
	key     string
}

// claim makes the call the one of its key that is under way. It is refused when there is one.
func (s *Service) reserveKey(request Request) error {
	if request.Idempotency == nil {
		return nil
	}
	wanted := callKey{request.Account, request.Idempotency.Key}
	s.mu.Lock()
	_, taken := s.reservedKeys[wanted]
	if !taken {
		s.reservedKeys[wanted] = struct{}{}
	}
	s.mu.Unlock()
	if taken {
		return &RetryAfterError{ErrKeyInFlight, s.busyFor(request.Account)}
	}
	return nil
}

// disclaim undoes claim.
func (s *Service) releaseKey(request Request) {
	if request.Idempotency == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reservedKeys, callKey{request.Account, request.Idempotency.Key})
}

// recall returns the stored answer of the call, which was made before, or why it has none. What is stored of a call is read and
// written together with the record, so a lease proves that there is nothing yet. It comes before guard and quota.
func (s *Service) loadResponse(ctx context.Context, c *conversation, kept StoredResponse) (answer secret.Bytes, err error) {
	repeat, now := c.request.Idempotency, c.now()
	switch {
	case kept.Answer.IsEmpty() || !now.Before(kept.At.Add(s.limits.ResponseLifetime)):
		return answer, ErrKeySpent
	case kept.At.Sub(now) > leaseMargin: // the clock was set back: how old it is cannot be known, now and later
		return answer, s.discardResponse(ctx, c, ErrKeySpent)
	}
	same, err := repeat.Body.Has(kept.Fingerprint)
	switch {
	case err != nil:
		return answer, wrapCause(ErrStore, err)
	case same:
		return kept.Answer, nil
	}
	// A caller that tries another body may be trying PINs: there is no second try.
	return answer, s.discardResponse(ctx, c, ErrKeyReused)
}

// discard spends the key of the call that this one repeats, and returns why: cause, unless the store fails.
func (s *Service) discardResponse(ctx context.Context, c *conversation, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	if err := s.store.DiscardResponse(ctx, c.request.Account, c.request.Idempotency.Key); err != nil {
		return wrapCause(ErrStore, err)
	}
	return cause
}

// checkInFlight refuses a repeat of the call that another process is about.
func (r *Record) checkInFlight(key string, now time.Time) error {
	if key != "" && r.LeasedAt(now) && r.Lease.IdempotencyKey == key {
		return &RetryAfterError{ErrKeyInFlight, r.Lease.Until.Sub(now)}
	}
	return nil
}

// keep is what a repeat of the call will be told, once inWebo has answered a finalize: nil before, since nothing was
// done that must not be done again. last says that the conversation ends with the outcome.
func (c *conversation) responseToStore(o outcome, callerErr error, last bool) *KeyedResponse {
	repeat := c.request.Idempotency
	ends := last || errors.Is(callerErr, ErrSuperseded)
	if repeat == nil || !ends || !o.finalized && c.rounds == 0 {
		return nil
	}
	return &KeyedResponse{Key: repeat.Key, IsOTP: callerErr == nil, StoredResponse: StoredResponse{
		At: c.now(), Fingerprint: repeat.Body.Fingerprint(), Answer: repeat.Answer(o.otp, callerErr),
	}}
}
