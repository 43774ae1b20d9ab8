package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

func newEnroll(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll ACCOUNT [--sms-code C]",
		Short: "Enroll the device of an account with an SMS code and a PIN",
		Long: `Enroll a new device for an account. It takes an SMS code, which the brand's app or the backend's own call to the
vendor orders (pimsd cannot order one), and the account's PIN. What is missing is asked for on a terminal, or read from
standard input, a line each: first the SMS code, then the PIN.

An account locks after about 20 SMS codes, so mind the PIN. After a failure, order a new SMS code and call again: pimsd
keeps the serial of the device, which would otherwise cost one of the devices that the account may have.

At the end one OTP is made, to see that inWebo accepts the proofs of the device; it counts as any other, and is not shown.
With several services, say which one OTPs are for by the setting inwebo.service; a device with one needs none.`,
		Example: `  pimsd enroll alice --sms-code 123456`,
	}
	e := &enrollment{process: p}
	flags := cmd.Flags()
	who := addAccount(cmd, func(name string) (otp.Account, error) {
		if e.Replace {
			return otp.ParseStoredAccount(name)
		}
		return otp.ParseAccount(name)
	})
	code := flags.String("sms-code", "", "the `code` of the SMS; asked for when it is left out")
	flags.BoolVar(&e.Replace, "replace", false, "enroll again although the account has a device; it stays until the new one is stored")
	flags.BoolVar(&e.Force, "force", false, "make an SMS activation beyond sms_activations.refuse_at; inWebo may lock the account")
	transcript := flags.String("transcript", "",
		"a `file` to which the form of each answer of inWebo is appended, without any value: for a report")
	flags.BoolVar(&e.PINAnyway, "pin-anyway", false, "go on where inWebo asks for no PIN; the SMS code may be spent in vain")
	dryRun := flags.Bool("dry-run", false, "say whether an enrollment would begin, and ask inWebo nothing; no SMS code and no PIN are needed")
	flags.BoolVar(&e.noCheck, "no-check", false, "make no OTP at the end")
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) (err error) {
		e.ask = otp.Request{Account: *who, Caller: caller}
		if *dryRun {
			return withCore(cmd, c, func(core *app.Core) error { return e.dryRun(cmd.Context(), core) })
		}
		if e.SMSCode, err = p.readSMSCode(cmd.Context(), *code); err != nil {
			return err
		}
		if e.PIN, err = p.readPIN(cmd.Context()); err != nil {
			return err
		}
		if *transcript != "" {
			c.Inwebo.TranscriptFile = *transcript
		}
		return p.withConversation(cmd, c, func(core *app.Core) error { return e.run(cmd.Context(), core.OTP) })
	})
}

// enrollment is one run of the command.
type enrollment struct {
	process
	otp.EnrollRequest
	ask     otp.Request
	noCheck bool
	step    otp.EnrollmentStep // that was begun last; empty before the first
}

func (e *enrollment) run(ctx context.Context, service *otp.Service) error {
	e.Progress = func(step otp.EnrollmentStep) {
		e.step = step
		e.say("%s …", step)
	}
	used, err := service.Enroll(ctx, e.ask, e.EnrollRequest)
	if used.FewLeft {
		e.say("the account has used up %s: inWebo locks it after about 20", input.Count(used.Tried, "SMS activation"))
	}
	if errors.Is(err, otp.ErrNoPINAsked) {
		return advised{err, "The SMS code is not spent. To send the PIN all the same, add --pin-anyway; and report it, " +
			"because this is not known to happen."}
	}
	if err != nil {
		return advised{err, strings.TrimSpace(adviceFor(err) + "\n" + e.ofTheCode())}
	}
	_, err = fmt.Fprintf(e.stdout, "The device of %q is enrolled and stored.\n", e.ask.Account)
	switch {
	case err != nil:
		return e.enrolledBut(err)
	case e.noCheck:
		return e.sayHow()
	case ctx.Err() != nil:
		return e.enrolledBut(errInterrupted)
	default:
		return e.check(ctx, service)
	}
}

// dryRun says whether an enrollment would begin.
func (e *enrollment) dryRun(ctx context.Context, core *app.Core) error {
	used, err := core.OTP.CheckEnroll(ctx, e.ask, e.EnrollRequest)
	if err == nil {
		err = core.Store.Writable(ctx)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "An enrollment of %q would begin. SMS activations tried so far: %d.\n"+
		"Nothing was changed, and inWebo was asked nothing (--dry-run).\n", e.ask.Account, used.Tried)
	return err
}

// enrolledBut is the error of a command that failed when the device was stored already.
func (e *enrollment) enrolledBut(err error) error {
	return advised{
		fmt.Errorf("the device of %q is enrolled and stored, and was not checked: %w", e.ask.Account, err),
		fmt.Sprintf("See it with: pimsd account show %s. An OTP checks it: pimsd otp %[1]s", word(e.ask.Account)),
	}
}

// say writes a progress line.
func (e *enrollment) say(format string, args ...any) {
	_, _ = fmt.Fprintf(e.stderr, "pimsd: "+format+"\n", args...)
}

func (e *enrollment) sayHow() error {
	_, err := fmt.Fprintf(e.hints(e.stdout), "Get an OTP with: pimsd otp %s\n", word(e.ask.Account))
	return err
}

// ofTheCode describes, for a failed enrollment, whether its SMS code can be used for another try.
func (e *enrollment) ofTheCode() string {
	switch e.step {
	case "":
		return "Nothing was sent to inWebo: the SMS code is not spent."
	case otp.StepOpen:
		return "No activation was made: the SMS code is not spent by this, and lives for 15 minutes."
	default:
		return "The SMS code may be spent, and counts as an activation: order a new one and call again. The serial of the device is kept."
	}
}

// check makes one OTP of the device.
func (e *enrollment) check(ctx context.Context, service *otp.Service) error {
	e.say("checking it with one OTP …")
	_, err := service.IssueOTP(ctx, e.ask, e.PIN)
	if err == nil {
		_, _ = fmt.Fprintln(e.stdout, "inWebo accepted the proofs of its first OTP.")
		return e.sayHow()
	}
	advice := adviceFor(err)
	if errors.Is(err, otp.ErrServiceChoice) {
		status, errStatus := service.Status(ctx, e.ask.Account)
		if errStatus != nil {
			return errors.Join(err, errStatus)
		}
		advice = fmt.Sprintf("It makes OTPs for several services: set inwebo.service to one of %q, and then: pimsd otp %s",
			status.Services, word(e.ask.Account))
	}
	return advised{fmt.Errorf("the device is enrolled and stored, but its first OTP failed: %w", err), advice}
}
