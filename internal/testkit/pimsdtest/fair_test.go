package pimsdtest_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// patient makes no exchange, queue or conversation end while a test has inWebo paused, however slow the machine is.
func patient(s *pimsdtest.Setup) {
	s.Config.Inwebo.ExchangeTimeout = 2 * time.Minute
	s.Config.Conversation.QueueWait, s.Config.Conversation.Deadline = 5*time.Minute, 5*time.Minute
}

// askMany makes that many calls at once. Each answer comes on its own.
func askMany(a *pimsdtest.Account, calls int) <-chan pimsdtest.Answer {
	answers := make(chan pimsdtest.Answer, calls)
	for range calls {
		go func() { answers <- a.OTP(a.PIN) }()
	}
	return answers
}

// TestCallsOfOneAccountLeavePlaces: a caller whose calls queue for a device, many more of them than there are
// places, does not cost another caller a single call.
func TestCallsOfOneAccountLeavePlaces(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t, patient, func(s *pimsdtest.Setup) {
		s.Config.Load.InFlight, s.Config.Load.Waiting = 32, 16
	})
	alice, mallory := d.Enroll("alice", aPIN), d.Enroll("mallory", aPIN)
	reached, release := d.Pause(pimsdtest.ActionFinalize)
	const calls = 120
	answers := askMany(mallory, calls)
	<-reached
	refused := 0
	for ; refused < calls-32-16-1; refused++ {
		wantFailure(t, <-answers, 503, 2001, fifteen()[2001], true)
	}
	for range 5 {
		wantOTP(t, alice)
	}
	release()
	given := 0
	for range calls - refused {
		if (<-answers).OTP != "" {
			given++
		}
	}
	if given == 0 {
		t.Error("the caller whose calls queued got no OTP at all")
	}
}

// TestTwoBackendsLeavePlaces: two keys for many accounts, whose calls wait for inWebo, leave places for others.
func TestTwoBackendsLeavePlaces(t *testing.T) {
	t.Parallel()
	const places, each = 24, 24
	d := pimsdtest.Start(t, patient, func(s *pimsdtest.Setup) {
		s.Config.Load.InFlight, s.Config.Load.Waiting = places, 0
	})
	alice := d.Enroll("alice", aPIN)
	answers := make(chan pimsdtest.Answer, 2*each)
	var calls []func()
	for _, backend := range []string{"one-", "other-"} {
		key := d.BackendKey(backend)
		for i := range each {
			account := d.Enroll(fmt.Sprint(backend, i), aPIN)
			calls = append(calls, func() { answers <- d.Ask(key, pimsdtest.WithPIN(aPIN), "X-Pims-Account: "+account.Name) })
		}
	}
	_, release := d.PauseAll(pimsdtest.ActionFinalize)
	for _, call := range calls {
		go call()
	}
	refused := 0
	for ; refused < 2*each-places+1; refused++ {
		wantFailure(t, <-answers, 503, 2001, fifteen()[2001], true)
	}
	mine := ask(alice)
	until(t, "another caller's call is under way", func() bool { return alice.Expected().Setups > 0 })
	release()
	wantGood(t, alice, mine())
	for range 2*each - refused {
		<-answers
	}
}

// TestTokensOfAnUnknownKeyLeavePlaces: while an issuer's key endpoint is slow, callers with API keys get their OTPs.
func TestTokensOfAnUnknownKeyLeavePlaces(t *testing.T) {
	t.Parallel()
	slow := newSlowIssuer(t)
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.Load.InFlight, s.Config.Load.Waiting = 4, 4
		s.Config.JWT.Issuers = append(s.Config.JWT.Issuers, slow.Issuer)
	})
	alice := d.Enroll("alice", aPIN)
	var tokens sync.WaitGroup
	for range 8 {
		tokens.Go(func() {
			if answer := d.Ask(slow.token, pimsdtest.WithPIN(aPIN)); answer.OTP != "" {
				t.Error("a token of an unknown key is accepted")
			}
		})
	}
	<-slow.asked
	until(t, "the tokens wait", func() bool { return d.Metrics()["pimsd_requests_in_flight"] == 8 })
	wantOTP(t, alice)
	if answer := d.Ask(slow.good, pimsdtest.WithPIN(aPIN)); answer.OTP == "" {
		t.Errorf("a token of a known key: %+v", answer)
	}
	tokens.Wait()
}

// slowIssuer publishes a key, and does not answer when it is asked again.
type slowIssuer struct {
	authn.Issuer

	good  string          // signed with the key that is published
	token string          // signed with another one
	asked <-chan struct{} // closed when it is asked again
}

func newSlowIssuer(t *testing.T) slowIssuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	_, another, errAnother := ed25519.GenerateKey(nil)
	if err = errors.Join(err, errAnother); err != nil {
		t.Fatal(err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "known", Use: "sig"}}}
	asked := make(chan struct{})
	first, second := make(chan struct{}, 1), sync.OnceFunc(func() { close(asked) })
	first <- struct{}{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-first:
			_ = json.NewEncoder(w).Encode(set)
		default:
			second()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	slow := slowIssuer{asked: asked, Issuer: authn.Issuer{
		Name: "slow", URL: "https://slow.example/", JWKSURL: server.URL, Audiences: []string{"pimsd"},
	}}
	slow.good, slow.token = signed(t, slow.Issuer, "known", private), signed(t, slow.Issuer, "unknown", another)
	return slow
}

func signed(t *testing.T, i authn.Issuer, kid string, private ed25519.PrivateKey) string {
	t.Helper()
	key := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: kid}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: i.URL, Subject: "alice", Audience: i.Audiences, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
