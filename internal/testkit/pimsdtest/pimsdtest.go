// Package pimsdtest runs a whole pimsd for a test, in one line: the daemon as the command serves it, on free loopback ports
// and with a data directory of its own, and a simulated inWebo behind it.
//
//	d := pimsdtest.Start(t)
//	alice := d.Enroll("alice", "1234")
//	answer := alice.OTP("1234") // over a real socket, and held against the contract
//	alice.Verify(answer.OTP)    // true, once
//
// There is nothing to stop: all of it ends with the test. The package must never put anything between a test and the
// daemon: it calls what cmd/pimsd calls, and sees what callers and operators see.
package pimsdtest

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit"
)

// Setup is what a daemon and its inWebo are made of. It comes with what works; a test changes what it is about.
type Setup struct {
	// Config is the default one, with free ports, a new data directory, the log at debug, and without what
	// refuses callers: quota, PIN guard, circuit, rate.
	// Its Inwebo.URL is nil, which represents the simulator.
	Config *config.Config
	// Inwebo has the default knobs, and takes an OTP from the account alone that it was issued to.
	Inwebo inwebosim.Options
}

// Daemon is a pimsd, and the inWebo that it talks to. What asks it may be called from any goroutine; Stop and Restart by
// the test alone, while no other code uses it.
type Daemon struct {
	Inwebo *inwebosim.Simulator
	Config *config.Config // of the next start

	tb       testing.TB
	contract *Contract
	client   *http.Client
	log      *Buffer

	app       *app.App
	interrupt context.CancelFunc
	ended     chan struct{}
	err       error // of the run; read after ended
}

// Start starts a daemon that runs until tb ends. What does not work fails tb, here and in every method.
func Start(tb testing.TB, change ...func(*Setup)) *Daemon {
	tb.Helper()
	setup := Setup{
		Config: config.Default(),
		Inwebo: inwebosim.Options{Knobs: inwebosim.DefaultKnobs(), Accounts: []inwebosim.Account{}, CheckUsers: true},
	}
	c := setup.Config
	c.Listen, c.Ops.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = filepath.Join(tb.TempDir(), "data")
	c.Log.Level = "debug"
	c.Quota.OTPsPerDay, c.Guard.Attempts = 0, 0
	c.Inwebo.CircuitFaults, c.Inwebo.SetupRepeats, c.Load.CallerRate = 0, 100, 0
	c.Inwebo.URL = nil
	for _, f := range change {
		f(&setup)
	}
	inwebo := testkit.StartInwebo(tb, setup.Inwebo)
	if c.Inwebo.URL == nil {
		var err error
		if c.Inwebo.URL, err = url.Parse(inwebo.ProtocolURL()); err != nil {
			tb.Fatal(err)
		}
	}
	return start(tb, inwebo, c)
}

// Replica starts another daemon on the same data directory and the same inWebo.
func (d *Daemon) Replica() *Daemon {
	d.tb.Helper()
	c := *d.Config
	return start(d.tb, d.Inwebo, &c)
}

// testTimeout is longer than anything takes that works.
const testTimeout = time.Minute

func start(tb testing.TB, inwebo *inwebosim.Simulator, c *config.Config) *Daemon {
	tb.Helper()
	d := &Daemon{
		Inwebo: inwebo, Config: c, tb: tb, contract: NewContract(tb), log: &Buffer{},
		client: &http.Client{Timeout: testTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
	tb.Cleanup(func() {
		d.Stop()
		d.client.CloseIdleConnections()
		if tb.Failed() {
			tb.Logf("log of the daemon:\n%s", d.Log())
		}
	})
	d.run()
	return d
}

// run starts the daemon with a copy of the configuration, so that a test can change it while this one runs.
func (d *Daemon) run() {
	d.tb.Helper()
	ctx, interrupt := context.WithCancel(context.WithoutCancel(d.tb.Context()))
	d.interrupt = interrupt
	c := *d.Config
	var err error
	if d.app, err = app.New(ctx, &c, d.log); err != nil {
		d.tb.Fatal(err)
	}
	running, ended := d.app, make(chan struct{})
	d.ended = ended
	go func() {
		defer close(ended)
		d.err = running.Run(ctx)
	}()
}

// Interrupt does what SIGTERM does, and does not wait for what follows.
func (d *Daemon) Interrupt() { d.interrupt() }

// Stop interrupts the daemon and waits for its end. A second call does nothing.
func (d *Daemon) Stop() {
	d.tb.Helper()
	d.interrupt()
	if d.ended == nil {
		return
	}
	<-d.ended
	d.ended = nil
	if d.err != nil {
		d.tb.Errorf("the daemon ended with %v", d.err)
	}
}

// Restart stops the daemon, and starts it again on its data directory, with Config as it is by now and on other ports.
func (d *Daemon) Restart() {
	d.tb.Helper()
	d.Stop()
	d.run()
}

// URL is that of a path on the API's listener.
func (d *Daemon) URL(path string) string { return "http://" + d.app.APIAddress() + path }

// AdminURL is that of a path on the listener of administration.
func (d *Daemon) AdminURL(path string) string { return "http://" + d.app.AdminAddress() + path }

// OpsURL is that of a path on the operators' listener.
func (d *Daemon) OpsURL(path string) string { return "http://" + d.app.OpsAddress() + path }
