package authn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How long keys are used, and how often an issuer is asked for them at most.
const (
	keysRefreshAfter = 15 * time.Minute // the first use after this starts a fetch, and does not wait for it
	keysGoodFor      = 24 * time.Hour   // without a fetch that succeeds: a withdrawn key must end at some time
	keysRetryAfter   = 10 * time.Second // after a fetch that failed
	unknownKeyAfter  = 3 * time.Second  // between two fetches that tokens with an unknown kid cause
)

// maxKeyWaiters is how many callers wait for the keys of one issuer at the same time.
const maxKeyWaiters = 64

// ErrKeysUnavailable says that a token cannot be judged, since its issuer's keys are out of reach.
var ErrKeysUnavailable = errors.New("the keys of the token's issuer are out of reach")

// errNoKeys is what a fetch failed with that brought a JWKS.
var errNoKeys = errors.New("the JWKS has no key that can check a signature")

// RetryAfterError is an error that passes, with the time after which the call can be repeated.
type RetryAfterError struct {
	Cause error
	For   time.Duration
}

// Error returns the cause, and how long to wait.
func (w *RetryAfterError) Error() string { return fmt.Sprintf("%v; try again in %v", w.Cause, w.For) }

// Unwrap returns the cause.
func (w *RetryAfterError) Unwrap() error { return w.Cause }

// keySet caches the keys of one issuer. It has two independent states, the age of its keys and the fetch:
//
//	        run: keys              keysRefreshAfter          keysGoodFor
//	empty ────────────▶ fresh ─────────────────────▶ stale ─────────────▶ empty
//	                      ▲                            │
//	                      └───────── run: keys ────────┘
//
//	      start, if nextAt has passed             run: keys, or an error (nextAt is then keysRetryAfter later)
//	idle ─────────────────────────────▶ running ─────────────────────────────▶ idle
//
// Fresh and stale keys are used at once. lookup calls start when it does not find the key of a token, and when the keys are not fresh.
// Whether a fetch is needed and whether it may start is decided under one lock, so any number of concurrent tokens starts one fetch.
//
// Ages are measured by the monotonic clock: a wall clock that jumps makes no key older or younger.
type keySet struct {
	fetch func() (jwks, error) // has its own time-out

	mu      sync.Mutex
	keys    []jose.JSONWebKey // of the last fetch that succeeded; replaced, never changed
	fetched time.Time         // when that ended
	started int               // how many fetches have begun, and so the number of the last one
	lastErr error             // of the last fetch; nil means that it brought keys, or that there was none
	nextAt  time.Time         // no fetch before this
	running chan struct{}     // closed when the running fetch ends; nil means that none runs
	waiting int               // callers
	closed  bool
}

// find returns the keys that a token with that kid may be signed with, at least one. Without a kid, it is the only key of the
// issuer. The error is a RetryAfterError with ErrKeysUnavailable, or errKeyUnknown, or errKeyMissing.
//
// A kid is unknown only if a fetch that started after find was called has not brought it: an issuer may sign with a new key at any
// time, and an earlier fetch, which any token with an unknown kid can start, says nothing about it. find waits for such a fetch up to
// KeyWaitTimeout.
func (s *keySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	need := s.nextFetch()
	keys, wait, err := s.lookup(kid, need)
	if wait == nil {
		return keys, err
	}
	if !s.addWaiter() {
		return nil, &RetryAfterError{fmt.Errorf("%w: too many callers wait for them", ErrKeysUnavailable), time.Second}
	}
	defer s.removeWaiter()
	ctx, cancel := context.WithTimeout(ctx, KeyWaitTimeout)
	defer cancel()
	for ; wait != nil; keys, wait, err = s.lookup(kid, need) {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, s.keysUnavailableNow()
		}
	}
	return keys, err
}

// addWaiter counts a waiting caller, and reports whether it may wait: whether there are not too many.
func (s *keySet) addWaiter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting >= maxKeyWaiters {
		return false
	}
	s.waiting++
	return true
}

func (s *keySet) removeWaiter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
}

// nextFetch returns the number of the fetch that starts next.
func (s *keySet) nextFetch() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started + 1
}

// lookup decides about a token with that kid from what is known now, and starts a fetch when the token needs one. need is the
// number of the first fetch that started after the token arrived. One of the three results is set: the keys; what is closed when lookup
// must be called again, because the running fetch has ended or the next one may start; or the error.
func (s *keySet) lookup(kid string, need int) (_ []jose.JSONWebKey, wait <-chan struct{}, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now() //nolint:forbidigo // the monotonic clock, for ages alone
	keys := s.usable(now)
	found := withID(keys, kid)
	if len(found) == 0 && s.started < need && (len(keys) == 0 || kid != "") || now.Sub(s.fetched) >= keysRefreshAfter {
		s.start(now)
	}
	switch {
	case len(found) > 0:
		return found, nil, nil
	case len(keys) > 0 && kid == "":
		return nil, nil, errKeyMissing
	case s.running != nil:
		return nil, s.running, nil
	case s.started < need && s.lastErr == nil && !s.closed:
		return nil, after(s.nextAt.Sub(now)), nil
	case s.lastErr != nil || len(keys) == 0:
		return nil, nil, s.keysUnavailable(now)
	default:
		return nil, nil, errKeyUnknown
	}
}

// after returns a channel that is closed after d.
func after(d time.Duration) <-chan struct{} {
	passed := make(chan struct{})
	time.AfterFunc(d, func() { close(passed) })
	return passed
}

// prefetch starts a fetch, if one may start.
func (s *keySet) prefetch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start(time.Now()) //nolint:forbidigo // the monotonic clock, for ages alone
}

// start starts a fetch, unless one runs or nextAt has not passed. The caller must hold s.mu.
func (s *keySet) start(now time.Time) {
	if s.closed || s.running != nil || now.Before(s.nextAt) {
		return
	}
	s.started++
	s.running, s.nextAt = make(chan struct{}), now.Add(unknownKeyAfter)
	go s.run()
}

func (s *keySet) run() {
	set, err := s.fetch()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now() //nolint:forbidigo // the monotonic clock, for ages alone
	if err == nil {
		s.keys, s.fetched = set.usable, now
		if len(set.usable) == 0 {
			err = errNoKeys
		}
	}
	if s.lastErr = err; err != nil {
		s.nextAt = now.Add(keysRetryAfter)
	}
	close(s.running)
	s.running = nil
}

// keysUnavailableNow is keysUnavailable for a caller that does not hold s.mu.
func (s *keySet) keysUnavailableNow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysUnavailable(time.Now()) //nolint:forbidigo // the monotonic clock, for ages alone
}

// keysUnavailable returns the RetryAfterError of a token whose key is not known. The caller must hold s.mu.
func (s *keySet) keysUnavailable(now time.Time) error {
	cause := ErrKeysUnavailable
	if s.lastErr != nil {
		cause = fmt.Errorf("%w: %w", ErrKeysUnavailable, s.lastErr)
	}
	wait := time.Second // no less, and enough for the fetch under way
	if s.running == nil {
		wait = max(wait, s.nextAt.Sub(now))
	}
	return &RetryAfterError{cause, wait}
}

// usable returns the keys, or none when they are older than keysGoodFor.
func (s *keySet) usable(now time.Time) []jose.JSONWebKey {
	if now.Sub(s.fetched) >= keysGoodFor {
		return nil
	}
	return s.keys
}

// withID returns the keys with that kid. For an empty kid it returns the only key, if there is one.
func withID(keys []jose.JSONWebKey, kid string) (found []jose.JSONWebKey) {
	if kid == "" && len(keys) == 1 {
		return keys
	}
	for _, key := range keys {
		if kid != "" && key.KeyID == kid {
			found = append(found, key)
		}
	}
	return found
}

// close waits for the running fetch. None starts after it.
func (s *keySet) close() {
	s.mu.Lock()
	s.closed = true
	ended := s.running
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
}
