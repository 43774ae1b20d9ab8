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
	unknownKeyAfter  = time.Minute      // between two fetches that tokens with an unknown kid cause
)

// ErrKeysUnavailable says that a token cannot be judged, since its issuer's keys are out of reach.
var ErrKeysUnavailable = errors.New("the keys of the token's issuer are out of reach")

// errNoKeys is what a fetch failed with that brought a JWKS.
var errNoKeys = errors.New("the JWKS has no key that can check a signature")

// Wait is a cause that passes, with the time after which to try again.
type Wait struct {
	Cause error
	For   time.Duration
}

// Error says what to wait for, and how long.
func (w *Wait) Error() string { return fmt.Sprintf("%v; try again in %v", w.Cause, w.For) }

// Unwrap gives the cause.
func (w *Wait) Unwrap() error { return w.Cause }

// keySet keeps the keys of one issuer fresh. There is one fetch at a time, and whether another may start is decided under
// the same lock as whether it is needed: however many tokens ask at once, they cause one.
type keySet struct {
	fetch func() (jwks, error) // ends by itself, soon
	now   func() time.Time

	mu           sync.Mutex
	keys         []jose.JSONWebKey // of the last fetch that succeeded; replaced, never changed
	fetched      time.Time         // when that was
	trouble      error             // why the last fetch brought no key; nil: it did, or there was none
	retryAt      time.Time         // no fetch before this
	unknownKeyAt time.Time         // no fetch for an unknown kid before this
	underway     chan struct{}     // closed at the end of the fetch under way; nil: there is none
	closed       bool
}

func newKeySet(now func() time.Time, fetch func() (jwks, error)) *keySet {
	return &keySet{fetch: fetch, now: now}
}

// find gives the keys that a token with that kid may be signed with, at least one. Without a kid, it is the only key that
// the issuer has. The error is a Wait with ErrKeysUnavailable, errKeyUnknown or errKeyMissing.
func (s *keySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	if ended := s.want(kid); ended != nil {
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	return s.answer(kid)
}

// want starts the fetch that a token with that kid gives reason to. When the token cannot be judged without a fetch that
// is under way, it gives the channel that is closed at its end.
func (s *keySet) want(kid string) (ended <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	switch keys := s.usable(now); {
	case len(keys) == 0:
		s.start(now)
	case kid != "" && len(withID(keys, kid)) == 0:
		if !now.Before(s.unknownKeyAt) && s.start(now) {
			s.unknownKeyAt = now.Add(unknownKeyAfter)
		}
	default:
		if now.Sub(s.fetched) >= keysRefreshAfter {
			s.start(now)
		}
		return nil
	}
	return s.underway
}

// start begins a fetch, unless one is under way already or it is not yet time.
func (s *keySet) start(now time.Time) bool {
	if s.closed || s.underway != nil || now.Before(s.retryAt) {
		return false
	}
	s.underway = make(chan struct{})
	go s.run()
	return true
}

func (s *keySet) run() {
	set, err := s.fetch()
	keys := set.usable
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err == nil {
		s.keys, s.fetched = keys, now
		if len(keys) == 0 {
			err = errNoKeys
		}
	}
	s.trouble, s.retryAt = err, time.Time{}
	if err != nil {
		s.retryAt = now.Add(keysRetryAfter)
	}
	close(s.underway)
	s.underway = nil
}

// answer is find with what is known now.
func (s *keySet) answer(kid string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	keys := s.usable(now)
	switch found := withID(keys, kid); {
	case len(found) > 0:
		return found, nil
	case len(keys) == 0:
		return nil, s.wait(now, s.retryAt)
	case kid == "":
		return nil, errKeyMissing
	case s.trouble != nil || s.underway != nil: // the kid may be that of a key that is new
		return nil, s.wait(now, later(s.unknownKeyAt, s.retryAt))
	}
	return nil, errKeyUnknown
}

// wait says that keys are out of reach, and until when.
func (s *keySet) wait(now, until time.Time) error {
	cause := ErrKeysUnavailable
	if s.trouble != nil {
		cause = fmt.Errorf("%w: %w", ErrKeysUnavailable, s.trouble)
	}
	return &Wait{cause, max(until.Sub(now), time.Second)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// usable are the keys that are not too old.
func (s *keySet) usable(now time.Time) []jose.JSONWebKey {
	if now.Sub(s.fetched) >= keysGoodFor {
		return nil
	}
	return s.keys
}

// withID gives the keys with a kid; for none, the only key.
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
	ended := s.underway
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
}
