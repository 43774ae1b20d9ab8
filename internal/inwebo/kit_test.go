package inwebo_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// canary is part of every parameter and of every answer here, and may be in no error.
const canary = "c4n4ry"

// target is a configuration whose every text is a canary; its time-outs are longer than any test.
func target(t testing.TB, base string) inwebo.Config {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return inwebo.Config{
		BaseURL: u, Path: "/iwws/" + canary, MacID: canary + "-macid", Version: canary + "/1", UserAgent: canary + "-agent",
		DeviceName: canary + " name", Language: canary, ExchangeTimeout: time.Minute, DialTimeout: time.Minute,
	}
}

// client is a Client whose Observe hook is watched.
type client struct {
	*inwebo.Client
	mu       sync.Mutex
	observed []observation
}

type observation struct {
	exchange inwebo.Exchange
	err      error
	took     time.Duration
}

func newClient(t testing.TB, config inwebo.Config) *client {
	t.Helper()
	c := new(client)
	config.Observe = func(exchange inwebo.Exchange, err error, took time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.observed = append(c.observed, observation{exchange, err, took})
	}
	c.Client = inwebo.New(config)
	t.Cleanup(c.Close)
	return c
}

// call is one of the exchanges, with a canary in every parameter; tag is in one of them too, to tell requests apart.
type call struct {
	exchange inwebo.Exchange
	answer   string // one that is taken
	do       func(ctx context.Context, c *inwebo.Client, tag string) error
}

var canaryProofs = ratchet.Proofs{R0: canary + "-R0", R1: canary + "-R1", R2: canary + "-R2"}

func identity(tag string) inwebo.Identity {
	return inwebo.Identity{ID: canary + tag, LastSync: canary + "-lastsync"}
}

var activateSetup = call{
	inwebo.ExchangeActivateSetup,
	"<ActionSetup><err>OK</err><Kiw>c4n4ry</Kiw><Kfact>c4n4ry</Kfact><pinmode>1</pinmode></ActionSetup>",
	func(ctx context.Context, c *inwebo.Client, tag string) error {
		_, err := c.ActivateSetup(ctx, secret.NewText(canary+tag))
		return err
	},
}

var activateFinalize = call{
	inwebo.ExchangeActivateFinalize,
	"<ActionFinalize><err>OK</err><id>c4n4ry</id></ActionFinalize>",
	func(ctx context.Context, c *inwebo.Client, tag string) error {
		_, err := c.ActivateFinalize(ctx, inwebo.Activation{
			Code: secret.NewText(canary + tag), Serial: canary + "-serial", Kma: canary + "-Kma", PIN: canary + "-pin", Proofs: canaryProofs,
		})
		return err
	},
}

var msFinalize = call{
	inwebo.ExchangeMSFinalize,
	"<ActionFinalize><err>OK</err></ActionFinalize>",
	func(ctx context.Context, c *inwebo.Client, tag string) error {
		secrets := []inwebo.ServiceSecret{{ID: canary + "-msid", Value: canary + "-msval"}}
		_, err := c.MSFinalize(ctx, identity(tag), secrets, canaryProofs)
		return err
	},
}

var otpSetup = call{
	inwebo.ExchangeOTPSetup,
	"<ActionSetup><err>OK</err><challenge>-c4n4ry</challenge></ActionSetup>",
	func(ctx context.Context, c *inwebo.Client, tag string) error {
		_, err := c.OTPSetup(ctx, identity(tag), canary+"-sid")
		return err
	},
}

var otpFinalize = call{
	inwebo.ExchangeOTPFinalize,
	"<ActionFinalize><err>OK</err><defi>c4n4ry</defi><dK1>c4n4ry</dK1></ActionFinalize>",
	func(ctx context.Context, c *inwebo.Client, tag string) error {
		_, err := c.OTPFinalize(ctx, identity(tag), canary+"-sid", canaryProofs)
		return err
	},
}

var calls = []call{activateSetup, activateFinalize, msFinalize, otpSetup, otpFinalize}

func TestEveryExchangeIsCalled(t *testing.T) {
	var names []inwebo.Exchange
	for _, call := range calls {
		names = append(names, call.exchange)
	}
	if !slices.Equal(names, inwebo.Exchanges()) {
		t.Errorf("the tests make %v; there are %v", names, inwebo.Exchanges())
	}
}

// make makes the call, and holds its error against what holds for every error: it is observed once, and it is silent.
func (c call) make(t testing.TB, client *client) error {
	t.Helper()
	client.mu.Lock()
	client.observed = nil
	client.mu.Unlock()
	err := c.do(t.Context(), client.Client, "-tag")
	client.assertObserved(t, c.exchange, err)
	assertSilent(t, err)
	return err
}

func (c *client) assertObserved(t testing.TB, exchange inwebo.Exchange, err error) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.observed) != 1 || c.observed[0].exchange != exchange || !errors.Is(c.observed[0].err, err) || c.observed[0].took < 0 {
		t.Errorf("observed %+v; want once %s, %v", c.observed, exchange, err)
	}
}

// assertFault holds err against a fault: how far the exchange came, why it failed, and its whole text.
func assertFault(t testing.TB, err error, exchange inwebo.Exchange, how, why error, detail string) {
	t.Helper()
	fault, ok := errors.AsType[*inwebo.Fault](err)
	if !ok || fault.Exchange != exchange {
		t.Fatalf("%#v; want a fault of %s", err, exchange)
	}
	for _, kind := range []error{
		inwebo.ErrNeverSent, inwebo.ErrNoAnswer,
		inwebo.ErrLocal, inwebo.ErrNetwork, inwebo.ErrServer, inwebo.ErrLate, inwebo.ErrNotService, inwebo.ErrNotUnderstood,
		inwebo.ErrUnreadable,
	} {
		if got, want := errors.Is(err, kind), slices.Contains([]error{how, why}, kind); got != want {
			t.Errorf("%v: Is(%q) is %t", err, kind, got)
		}
	}
	want := string(exchange) + ": " + how.Error() + ": " + why.Error()
	if detail != "" {
		want += ": " + detail
	}
	if err.Error() != want {
		t.Errorf("%q; want %q", err, want)
	}
}

// assertUnreadable checks that err is an answer to a finalize that is kept whole.
func assertUnreadable(t testing.TB, err error, exchange inwebo.Exchange, answer string, accepted bool, detail string) {
	t.Helper()
	u, ok := errors.AsType[*inwebo.Unreadable](err)
	if !ok || u.Exchange != exchange || u.Accepted != accepted {
		t.Fatalf("%#v; want an unreadable answer of %s, accepted %t", err, exchange, accepted)
	}
	if got := string(u.Answer.Reveal()); got != answer {
		t.Errorf("%s: kept %d bytes; want the answer of %d", exchange, len(got), len(answer))
	}
	if !errors.Is(err, inwebo.ErrNoAnswer) || !errors.Is(err, inwebo.ErrUnreadable) || errors.Is(err, inwebo.ErrNotUnderstood) {
		t.Errorf("%v is not just ErrNoAnswer and ErrUnreadable", err)
	}
	if want := string(exchange) + ": " + inwebo.ErrNoAnswer.Error() + ": " + inwebo.ErrUnreadable.Error() + ": " + detail; err.Error() != want {
		t.Errorf("%q; want %q", err, want)
	}
	if _, err := inwebo.ReadAnswer(exchange, u.Answer); exchange != inwebo.ExchangeActivateFinalize && !errors.Is(err, inwebo.ErrUnreadable) {
		t.Errorf("%s: read again: %v; want it unreadable", exchange, err)
	}
}

// isSetup reports whether the call cannot move a device.
func (c call) isSetup() bool { return strings.HasPrefix(c.answer, "<ActionSetup>") }

// notRead is why a body that carries no document of the service is no answer to the call.
func (c call) notRead() error {
	if c.isSetup() {
		return inwebo.ErrNotUnderstood
	}
	return inwebo.ErrNotService
}
