package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// The demo account of `pimsd dev`. Only the simulator knows it.
const (
	demoAccount = "demo"
	demoPIN     = "1234"
	anyPort     = "127.0.0.1:0"

	demoQuota    = 0 // OTPs of a day: any number
	demoLogLevel = "warn"
)

func newDev(p process) *cobra.Command {
	installation := p.environ
	p.environ = devEnviron(installation)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on loopback with nothing to set up: simulator, service, a demo account",
		Long: `Run an inWebo simulator and the service on loopback, enroll the account "demo" (PIN 1234) and make a key for it; ask the
service for one OTP, have the simulator verify it, print the curl line that does the same, and keep serving.

No real account is touched: of the environment, nothing is used that says where an installation keeps its devices, what it
listens on beyond loopback, or whom it talks to. Without --data-dir the store is a temporary folder that is removed at the end;
with it, a folder that this command has made. The quota is off unless it is set. The simulator's faults are the flags of
"pimsd simulator".`,
	}
	d := &dev{process: p, simulator: inwebosim.Options{
		Listen: inwebosim.DefaultListen, Control: inwebosim.DefaultControl, Knobs: inwebosim.DefaultKnobs(),
	}}
	flags := cmd.Flags()
	flags.BoolVar(&d.once, "once", false, "end after the first verified OTP; all ports are chosen freely")
	flags.BoolVar(&d.freePorts, "free-ports", false, "choose ports that are free, where a flag names none")
	flags.StringVar(&d.simulator.Listen, "simulator-listen", d.simulator.Listen, "`host:port` of the simulator's protocol and of /FS")
	flags.StringVar(&d.simulator.Control, "simulator-control", d.simulator.Control, "`host:port` of the simulator's control listener")
	flags.Uint64Var(&d.simulator.Seed, "seed", 0, "repeat the simulator's run of this `seed`; 0 draws one")
	addKnobs(cmd, &d.simulator.Knobs)
	config.FlagsOf(flags, "listen", "ops.listen", "data_dir", "quota.otps_per_day", "log.level")
	flags.Lookup("quota-otps-per-day").DefValue = strconv.Itoa(demoQuota)
	flags.Lookup("log-level").DefValue = demoLogLevel
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if !cmd.Flags().Changed("data-dir") {
			dir, failed := makeDevStore(installation)
			if failed != nil {
				return failed
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			p.environ = append(p.environ, "PIMSD_DATA_DIR="+dir)
		}
		c, err := config.Load(p.settingsOf(cmd))
		if err != nil {
			return err
		}
		d.freePorts = d.freePorts || d.once
		return d.run(cmd, c)
	}
	return cmd
}

// dev is one run of the command.
type dev struct {
	process
	once      bool
	freePorts bool
	simulator inwebosim.Options
}

func (d *dev) run(cmd *cobra.Command, c *config.Config) (err error) {
	if d.freePorts && !cmd.Flags().Changed("simulator-listen") {
		d.simulator.Listen = anyPort
	}
	if d.freePorts && !cmd.Flags().Changed("simulator-control") {
		d.simulator.Control = anyPort
	}
	simulator, err := newListeningSimulator(d.simulator, "add --free-ports"+asMakeFlag)
	if err != nil {
		return err
	}
	simulator.Start()
	defer func() { err = errors.Join(err, stopSimulator(cmd.Context(), simulator)) }()

	if err := d.adapt(c, simulator); err != nil {
		return err
	}
	return d.serve(cmd.Context(), c, simulator)
}

// asMakeFlag says how make passes that flag on.
const asMakeFlag = " (make run FLAGS=--free-ports)"

// adapt points the configuration to the simulator, and refuses a store that `pimsd dev` did not make.
func (d *dev) adapt(c *config.Config, simulator *inwebosim.Simulator) (err error) {
	if c.Inwebo.URL, err = url.Parse(simulator.ProtocolURL()); err != nil {
		return err
	}
	c.Ops.Try, c.Maintenance = true, false
	if !c.IsSet("quota.otps_per_day") {
		c.Quota.OTPsPerDay = demoQuota
	}
	if !c.IsSet("log.level") {
		c.Log.Level = demoLogLevel
	}
	if d.freePorts && !c.IsSet("listen") {
		c.Listen = anyPort
	}
	if d.freePorts && !c.IsSet("ops.listen") {
		c.Ops.Listen = anyPort
	}
	return checkDevStore(c.DataDir)
}

// serve runs the service, and demonstrates an OTP while it runs.
func (d *dev) serve(ctx context.Context, c *config.Config, simulator *inwebosim.Simulator) error {
	key, text, err := authn.NewKey(authn.Grant{Account: demoAccount, Scopes: authn.AccountScopes()}, now(), time.Time{})
	if err != nil {
		return fmt.Errorf("make a key for the demo account: %w", err)
	}
	c.Ops.TryKey = text
	service, err := app.New(ctx, c, d.log)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return advised{err, "Or have free ports chosen: add --free-ports" + asMakeFlag + "."}
	case err != nil:
		return err
	}
	release := d.signals.Protect(service.StillStopping)
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()

	if err = markDevStore(c.DataDir); err == nil {
		err = d.show(ctx, c, service, key, simulator)
	}
	if err != nil || d.once {
		stop()
	}
	return errors.Join(err, <-ended)
}

// show enrolls the demo account, gets an OTP over HTTP, and has it verified.
func (d *dev) show(ctx context.Context, c *config.Config, service *app.App, key authn.Key, simulator *inwebosim.Simulator) error {
	began := time.Now()
	ask := otp.Request{Account: demoAccount, Caller: caller}
	enrolling := otp.EnrollRequest{SMSCode: secret.NewText(inwebosim.DefaultCode), PIN: secret.NewText(demoPIN), Replace: true, Force: true}
	if _, err := service.OTP.Enroll(ctx, ask, enrolling); err != nil {
		return fmt.Errorf("enroll the demo account: %w", err)
	}
	if err := service.Store.AddKey(ctx, key); err != nil {
		return fmt.Errorf("store the key of the demo account: %w", err)
	}
	text := c.Ops.TryKey
	demo := demonstration{api: "http://" + service.APIAddress(), simulator: simulator.ProtocolURL(), key: text}
	given, err := demo.askOTP(ctx)
	if err != nil {
		return err
	}
	if verified := simulator.Authenticate(demoAccount, given.Reveal()); verified.Err != "OK" {
		return fmt.Errorf("the simulator does not accept the OTP: %s", verified.Err)
	}
	_, err = fmt.Fprintf(d.stdout, "OTP %s of account %q: issued over HTTP and verified by the simulator, %d ms after the start.\n",
		given.Reveal(), demoAccount, time.Since(began).Milliseconds())
	if err == nil && !d.once {
		_, err = fmt.Fprintf(d.stdout, devGreeting, demoAccount, text.Reveal(),
			demo.curl(), service.OpsAddress(), simulator.ProtocolURL(), simulator.ControlURL(), demo.verifyLine(),
			c.DataDir, word(c.DataDir), word(simulator.ProtocolURL()), word(d.program))
	}
	return err
}

const devGreeting = `
The key of account %q: %s
Get the next one with it:

%s

Operators' listener: http://%s/metrics, /livez, /readyz?verbose; the API to read and try: http://%[4]s/docs/
Simulator: %s (control: %s); verify an OTP, once, within 30 s:

%s

Data directory: %s. A command uses it, and the simulator, so:

  PIMSD_DATA_DIR=%s PIMSD_INWEBO_URL=%s %s account list

Ctrl-C ends it.
`
