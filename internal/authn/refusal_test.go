package authn_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

func TestEveryForgeryIsTheSameError(t *testing.T) {
	t.Parallel()
	for name, f := range forgeries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network, heard := newInternet(), &reasons{}
			tokens := newTokens(t, network, at(noon), func(c *authn.TokenConfig) { c.Observer = heard })
			if err := tokens.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
			expectRefused(t, tokens, f.token)
			if _, why := heard.last(); why == nil || !strings.Contains(why.Error(), f.why) {
				t.Errorf("it was refused because %v, want something about %q", why, f.why)
			}
			network.requests(t)
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
		case !f.late && (err != authn.ErrUnauthenticated || network.requests(t) > 0):
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
