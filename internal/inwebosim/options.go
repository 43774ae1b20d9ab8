package inwebosim

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Where `pimsd simulator` listens unless told otherwise (docs/contract.md §6).
const (
	DefaultListen  = "127.0.0.1:9800"
	DefaultControl = "127.0.0.1:9801"
)

// DefaultCode is the SMS code that a simulator without accounts takes, any number of times.
const DefaultCode = "123456"

// Options are everything that a simulator is made from; the zero value is a working one on free loopback ports.
type Options struct {
	// Listen and Control are the addresses of the two listeners, host:port; empty is 127.0.0.1:0, a free port.
	Listen, Control string
	// BeyondLoopback says that a listener reachable from other machines is meant. The control listener tells
	// every secret to any client.
	BeyondLoopback bool
	// Seed makes a run repeatable: the same seed and the same requests of a device produce the same answers,
	// the moments they carry aside. 0 draws one; [Simulator.Seed] tells it.
	Seed uint64
	// Knobs are how the service behaves; the zero value represents [DefaultKnobs].
	Knobs Knobs
	// Accounts are who can activate devices, and with which SMS codes; none represents one account
	// "demo" without a PIN of its own that takes [DefaultCode].
	Accounts []Account
	// CheckUsers makes authenticateExtended take userId for an account's login and accept that account's
	// passwords alone; false accepts any userId.
	CheckUsers bool
	// HistoryLimit is how many requests are remembered, the newest; 0 represents 10,000, negative for none.
	HistoryLimit int
	// Now is the clock of OTPLife, ChallengeLife, DailyOTPs and Tsync; nil represents time.Now. Faults
	// wait by real time.
	Now func() time.Time
}

// Account is a user of the service, who may have several devices.
type Account struct {
	// Login names the account.
	Login string `json:"login"`
	// PIN is the account's existing PIN: pinmode is 1 and an activation with another one is refused. Empty:
	// pinmode is 2, and each device keeps the PIN that it was activated with.
	PIN string `json:"pin,omitempty"`
	// Codes are the SMS codes that activate devices of this account.
	Codes []Code `json:"codes,omitempty"`
}

// Code is one SMS code, 4 to 16 ASCII letters and digits.
type Code struct {
	Value string `json:"value"`
	// Once makes the first activation that succeeds spend the code.
	Once bool `json:"once,omitempty"`
}

const defaultHistoryLimit = 10_000

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Control == "" {
		o.Control = "127.0.0.1:0"
	}
	if o.Knobs == (Knobs{}) {
		o.Knobs = DefaultKnobs()
	}
	if o.Accounts == nil {
		o.Accounts = []Account{{Login: "demo", Codes: []Code{{Value: DefaultCode}}}}
	}
	if o.HistoryLimit == 0 {
		o.HistoryLimit = defaultHistoryLimit
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// validate reports every fault of options that already have their defaults.
func (o Options) validate() error {
	faults := []error{
		o.Knobs.Validate(),
		o.checkAddress("listen", o.Listen),
		o.checkAddress("control", o.Control),
	}
	for _, a := range o.Accounts {
		faults = append(faults, a.validate())
	}
	return errors.Join(faults...)
}

// checkAddress refuses an address that is not surely loopback, unless it is meant.
func (o Options) checkAddress(name, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s address %q: %w", name, address, err)
	}
	if o.BeyondLoopback || host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s address %q is reachable from other machines and the simulator tells its secrets to everyone: "+
		"use 127.0.0.1, or say that it is meant", name, address)
}
