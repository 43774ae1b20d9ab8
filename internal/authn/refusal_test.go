package authn_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	for name, f := range forgeries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // in which waiting for a fetch takes no time
				network := newInternet()
				tokens := newTokens(t, network, at(noon))
				if err := tokens.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				expectRefused(t, tokens, f.token)
				_, err := authenticate(t.Context(), tokens, f.token)
				if err == nil || !strings.Contains(err.Error(), f.why) || authn.ReasonOf(err) == "" {
					t.Errorf("it was refused because %v (%q), want something about %q", err, authn.ReasonOf(err), f.why)
				}
				network.requests(t)
			})
		})
	}
}

// While keys are out of reach, what no key could save is refused as ever, and fetches nothing.
func TestForgeriesWhileKeysAreOutOfReach(t *testing.T) {
	t.Parallel()
	for name, f := range forgeries() {
		network := &internet{err: errors.New("connection refused")}
		tokens := newTokens(t, network, at(noon))
		_, err := authenticate(t.Context(), tokens, f.token)
		switch {
		case f.late && !errors.Is(err, authn.ErrKeysUnavailable):
			t.Errorf("%s: %v, want that the keys are out of reach", name, err)
		case !f.late && (!errors.Is(err, authn.ErrUnauthenticated) || network.requests(t) > 0):
			t.Errorf("%s: %v after %d fetches", name, err, network.requests(t))
		}
	}
}

func TestALeewayOfNothing(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t, newInternet(), at(noon), func(c *authn.TokenConfig) { c.Leeway = 0 })
	for _, change := range []object{{"exp": noon.Unix() - 1}, {"nbf": noon.Unix() + 1}} {
		for name, value := range change {
			expectRefused(t, tokens, sign(header("EdDSA", "ed"), claims().but(name, value), edKey()))
		}
	}
	expectTaken(t, tokens, sign(header("EdDSA", "ed"), claims().but("exp", noon.Add(time.Second).Unix()), edKey()))
}

// Each kind of fault has its word in the log.
func TestReasonsOfTokens(t *testing.T) {
	t.Parallel()
	all := forgeries()
	for name, want := range map[string]authn.Reason{
		"empty": authn.ReasonMalformed, "alg none": authn.ReasonMalformed, "jku": authn.ReasonMalformed, "sub twice": authn.ReasonMalformed,
		"iss wrong": authn.ReasonWrongIssuer, "aud of another": authn.ReasonWrongAudience, "a logout token": authn.ReasonWrongType,
		"the other issuer's algorithm": authn.ReasonWrongAlgorithm, "expired": authn.ReasonExpired, "exp missing": authn.ReasonNoExpiry,
		"nbf to come": authn.ReasonNotYetValid, "iat to come": authn.ReasonNotYetValid, "sub missing": authn.ReasonWrongSubject,
		"kid missing": authn.ReasonNoKeyID, "kid unknown": authn.ReasonUnknownKeyID, "another's key": authn.ReasonBadSignature,
	} {
		forged, ok := all[name]
		if !ok {
			t.Errorf("there is no forgery %q", name)
			continue
		}
		_, err := authenticate(t.Context(), newTokens(t, newInternet(), at(noon)), forged.token)
		if got := authn.ReasonOf(err); got != want {
			t.Errorf("%s: the reason is %q (%v), want %q", name, got, err, want)
		}
	}
	_, err := authenticate(t.Context(), newTokens(t, &internet{}, at(noon)), good(noon, "ed"))
	if got := authn.ReasonOf(err); got != authn.ReasonKeysOutOfReach {
		t.Errorf("without the issuer's keys: the reason is %q (%v)", got, err)
	}
}
