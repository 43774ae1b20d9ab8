package api_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const notNow = "Facade not initialized"

// A call that there is no place for is refused when its caller is known, and a place is free again after its call,
// however that ends.
func TestCallsBeyondThePlacesAreRefused(t *testing.T) {
	b := newBench(t, func(c *api.Config) { c.Gate = admission.NewGate(1, 0, time.Hour) })
	inside, finish := make(chan struct{}), make(chan struct{})
	b.domain.issue = func(context.Context) (otp.Issued, error) {
		inside <- struct{}{}
		<-finish
		return otp.Issued{}, otp.ErrPINRefused
	}
	first := make(chan reply)
	go func() { first <- b.send(t, request{body: aBody}) }()
	<-inside
	got := b.send(t, request{body: aBody})
	got.is(t, 503, 2001, notNow)
	if retry := got.header.Get("Retry-After"); retry != "1" {
		t.Errorf("Retry-After is %q", retry)
	}
	if e := b.journal.last(t); e.Caller != "key:alice" || e.Account != "alice" {
		t.Errorf("the event is %+v", e)
	}
	if got := b.send(t, request{path: "/v2"}); got.status != 404 {
		t.Errorf("a wrong path is %d", got.status)
	}
	b.send(t, request{header: "Authorization:"}).is(t, 401, 2301, "Need Basic Authentication (to get CVS token)")
	close(finish)
	(<-first).is(t, 403, 2308, "inwebo: access refused")
	for range 3 {
		b.domain.issue = func(context.Context) (otp.Issued, error) { panic("in the middle of a call") }
		b.send(t, request{body: aBody}).is(t, 500, 2000, "Unknown error")
		b.send(t, request{body: "x"}).is(t, 400, 2102, "Invalid body parameter")
		b.send(t, request{header: "Authorization:"}).is(t, 401, 2301, "Need Basic Authentication (to get CVS token)")
	}
}

// slowAuthenticator is an authenticator that does not know one credential until it is told.
type slowAuthenticator struct {
	authn.Authenticator
	asked   chan struct{}
	release chan struct{}
}

const unknownKid = "token-of-an-unknown-key"

func (s *slowAuthenticator) Authenticate(ctx context.Context, credential secret.Text) (authn.Principal, error) {
	if credential.Reveal() == unknownKid {
		s.asked <- struct{}{}
		<-s.release
	}
	return s.Authenticator.Authenticate(ctx, credential)
}

// TestCredentialsThatWaitHoldNoPlace: tokens that cannot be judged while a key endpoint is slow keep no other caller out.
func TestCredentialsThatWaitHoldNoPlace(t *testing.T) {
	slow := &slowAuthenticator{asked: make(chan struct{}), release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(slow.release) })
	defer release() // a test that fails ends, too
	b := newBench(t, func(c *api.Config) {
		c.Gate = admission.NewGate(1, 0, time.Hour)
		slow.Authenticator, c.Callers = c.Callers, slow
	})
	answers := make(chan reply, 5)
	for range 5 {
		go func() { answers <- b.send(t, request{body: aBody, header: "Authorization: Bearer " + unknownKid}) }()
		select {
		case <-slow.asked:
		case got := <-answers:
			t.Fatalf("a token is not judged: %d %s", got.status, got.body)
		}
	}
	if got := b.send(t, request{body: aBody}); got.status != 200 {
		t.Errorf("a good key is answered %d %s", got.status, got.body)
	}
	release()
	for range 5 {
		got := <-answers
		got.is(t, 401, 2301, "Need Basic Authentication (to get CVS token)")
	}
}

// TestOneAccountLeavesPlaces: calls that queue for their own device keep no other caller out.
func TestOneAccountLeavesPlaces(t *testing.T) {
	b := newBench(t, func(c *api.Config) { c.Gate = admission.NewGate(16, 4, time.Millisecond) })
	inside, finish := make(chan struct{}), make(chan struct{})
	b.domain.issue = func(context.Context) (otp.Issued, error) {
		inside <- struct{}{}
		<-finish
		return otp.Issued{OTP: secret.NewText(anOTP)}, nil
	}
	const calls, admitted = 50, 2
	answers := make(chan reply, calls)
	for range calls {
		go func() { answers <- b.send(t, request{body: aBody}) }()
	}
	for range admitted {
		<-inside
	}
	for range calls - admitted {
		got := <-answers
		got.is(t, 503, 2001, notNow)
	}
	other := make(chan reply)
	go func() {
		other <- b.send(t, request{body: aBody, header: "Authorization: Bearer " + fleet + "\nX-Pims-Account: fleet-7"})
	}()
	select {
	case <-inside:
	case got := <-other:
		t.Fatalf("another caller is answered %d %s", got.status, got.body)
	}
	close(finish)
	for range admitted {
		if got := <-answers; got.status != 200 {
			t.Errorf("a call that was admitted is answered %d %s", got.status, got.body)
		}
	}
	<-other
}

// Who sends slowly holds a connection, and no place.
func TestASlowSenderHasNoPlace(t *testing.T) {
	b := newBench(t, func(c *api.Config) { c.Gate = admission.NewGate(1, 0, time.Hour) })
	body, slow := io.Pipe()
	defer slow.Close()
	req := request{}.of(t, b.server.URL)
	req.Body = body
	answered := make(chan int)
	go func() {
		resp, err := b.server.Client().Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		answered <- resp.StatusCode
	}()
	_, _ = io.WriteString(slow, aBody[:10])
	for range 5 {
		if got := b.send(t, request{body: aBody}); got.status != 200 {
			t.Errorf("beside a slow sender: %d %s", got.status, got.body)
		}
	}
	_, _ = io.WriteString(slow, aBody[10:])
	_ = slow.Close()
	if status := <-answered; status != 200 {
		t.Errorf("the slow sender: %d", status)
	}
}

// A caller's own rate concerns that caller alone, and a caller that waits as Retry-After says is not refused again.
func TestACallersRate(t *testing.T) {
	b := newBench(t, func(c *api.Config) { c.Rates = admission.NewRates(1, 3) })
	for range 3 {
		if got := b.send(t, request{body: aBody}); got.status != 200 {
			t.Fatalf("within the burst: %d %s", got.status, got.body)
		}
	}
	got := b.send(t, request{body: "not looked at", header: "Content-Type: text/plain"})
	got.is(t, 429, 2001, notNow)
	seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
	if err != nil || seconds != 1 {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	if e := b.journal.events[len(b.journal.events)-1]; e.Caller != "key:alice" || e.Account != "alice" {
		t.Errorf("the event is %+v", e)
	}
	if got := b.send(t, request{body: aBody, header: "Authorization: Bearer " + fleet + "\nX-Pims-Account: fleet-7"}); got.status != 200 {
		t.Errorf("another caller: %d %s", got.status, got.body)
	}
	if len(b.domain.asked) != 4 {
		t.Errorf("the domain was asked %d times", len(b.domain.asked))
	}
	b.send(t, request{header: "Authorization: Bearer x"}).is(t, 401, 2301, "Need Basic Authentication (to get CVS token)")
}

func TestRetryAfterOfARateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := admission.NewRates(1, 1)
		handler := api.New(api.Config{
			Accounts: &domain{issue: func(context.Context) (otp.Issued, error) { return otp.Issued{OTP: secret.NewText(anOTP)}, nil }},
			Callers:  &callers{}, Observer: &journal{}, Rates: rates,
		})
		refused := 0
		for range 50 {
			w := serve(handler, request{body: aBody}.of(t, "http://pimsd"))
			if w.Code == http.StatusOK {
				continue
			}
			refused++
			seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(seconds) * time.Second)
			if again := serve(handler, request{body: aBody}.of(t, "http://pimsd")); again.Code != http.StatusOK {
				t.Errorf("after %d s: %d", seconds, again.Code)
			}
		}
		if refused == 0 {
			t.Error("nothing was refused")
		}
	})
}
