package authn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How fresh keys are kept, and how often an issuer is asked for them at most.
const (
	keysRefreshAfter = 15 * time.Minute // they are fetched again beside the first use after this
	keysGoodFor      = 24 * time.Hour   // without a fetch that succeeds; what was withdrawn must end some time
	keysRetryAfter   = 10 * time.Second // after a fetch that brought none
	unknownKeyAfter  = 3 * time.Second  // between two fetches that tokens with an unknown kid cause
)

// maxKeyWaiters is how many callers wait for the keys of one issuer at the same time.
const maxKeyWaiters = 64

// ErrKeysUnavailable says that a token cannot be judged, since its issuer's keys are out of reach.
var ErrKeysUnavailable = errors.New("the keys of the token's issuer are out of reach")

// errNoKeys is what a fetch failed with that brought a JWKS.
var errNoKeys = errors.New("the JWKS has no key that can check a signature")

// RetryAfterError is a cause that passes, with the time after which to try again.
type RetryAfterError struct {
	Cause error
	For   time.Duration
}

// Error says what to wait for, and how long.
func (w *RetryAfterError) Error() string { return fmt.Sprintf("%v; try again in %v", w.Cause, w.For) }

// Unwrap returns the cause.
func (w *RetryAfterError) Unwrap() error { return w.Cause }

// keySet keeps the keys of one issuer fresh. There is one fetch at a time, and whether another may start is decided under
// the same lock as whether it is needed: however many tokens ask at once, they cause one.
//
// Ages are measured by the monotonic clock: a wall clock that jumps makes no key older or younger.
type keySet struct {
	fetch func() (jwks, error) // ends by itself, soon

	mu      sync.Mutex
	keys    []jose.JSONWebKey // of the last fetch that succeeded; replaced, never changed
	fetched time.Time         // when that ended
	started int               // how many fetches have begun, and so the number of the last one
	lastErr error             // why the last fetch brought no key; nil: it did, or there was none
	nextAt  time.Time         // no fetch before this
	running chan struct{}     // closed at the end of the fetch under way; nil: there is none
	waiting int               // callers
	closed  bool
}

func newKeySet(fetch func() (jwks, error)) *keySet { return &keySet{fetch: fetch} }

// find returns the keys that a token with that kid may be signed with, at least one. Without a kid, it is the only key that
// the issuer has. The error is a Wait with ErrKeysUnavailable, errKeyUnknown or errKeyMissing.
//
// A kid is unknown only if a fetch that began after its token came has not brought it: an issuer may sign with a new key at
// any time, and a stranger that just caused a fetch must not keep its tokens out. find waits for such a fetch, at most
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
		if !wait.until(ctx) {
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

// keyWait is what a caller waits for: the end of a fetch, or the time of the next one.
type keyWait struct {
	ended <-chan struct{} // nil: wait for the time
	delay time.Duration
}

// until reports whether what was waited for has come before ctx ended.
func (w *keyWait) until(ctx context.Context) bool {
	ended := w.ended
	if ended == nil {
		timer := time.NewTimer(w.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// nextFetch is the number of the fetch that begins next.
func (s *keySet) nextFetch() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started + 1
}

// lookup returns what is known now for a token with that kid, for which the fetch with the number need, or a later one,
// decides whether the kid is unknown; or it returns what to wait for. It starts the fetch that the token gives reason to.
func (s *keySet) lookup(kid string, need int) ([]jose.JSONWebKey, *keyWait, error) {
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
		return nil, &keyWait{ended: s.running}, nil
	case s.started < need && s.lastErr == nil && !s.closed:
		return nil, &keyWait{delay: s.nextAt.Sub(now)}, nil
	case s.lastErr != nil || len(keys) == 0:
		return nil, nil, s.keysUnavailable(now)
	default:
		return nil, nil, errKeyUnknown
	}
}

// prefetch starts a fetch, if it is time.
func (s *keySet) prefetch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start(time.Now()) //nolint:forbidigo // the monotonic clock, for ages alone
}

// start begins a fetch, unless one is under way already or it is not yet time. The caller must hold s.mu.
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

// keysUnavailableNow says that keys are out of reach.
func (s *keySet) keysUnavailableNow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysUnavailable(time.Now()) //nolint:forbidigo // the monotonic clock, for ages alone
}

// keysUnavailable says that keys are out of reach, and until when. The caller must hold s.mu.
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

// usable are the keys that are not too old.
func (s *keySet) usable(now time.Time) []jose.JSONWebKey {
	if now.Sub(s.fetched) >= keysGoodFor {
		return nil
	}
	return s.keys
}

// withID returns the keys with a kid; for none, the only key.
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

// close waits for the fetch under way; none starts after it.
func (s *keySet) close() {
	s.mu.Lock()
	s.closed = true
	ended := s.running
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
}
