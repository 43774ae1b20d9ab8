package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

func newEnroll(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll --account A [--sms-code C]",
		Short: "Enrol the device of an account with an SMS code and a PIN",
		Long: `Enrol a new device for an account. It takes an SMS code, which the brand's app or the backend's own call to the
vendor orders (pimsd cannot order one), and the account's PIN. What is missing is asked for on a terminal, or read from
standard input, a line each: first the SMS code, then the PIN.

An account locks after about 20 SMS codes, so mind the PIN. After a failure, order a new SMS code and call again: pimsd
keeps the serial of the device, which would otherwise cost one of the devices that the account may have.`,
		Example: `  pimsd enroll --account alice --sms-code 123456`,
	}
	account := addAccount(cmd)
	code := cmd.Flags().String("sms-code", "", "the `code` of the SMS; asked for when it is left out")
	replace := cmd.Flags().Bool("replace", false, "enrol anew although the account has a device; it stays until the new one is stored")
	return withConfig(p, cmd, func(cmd *cobra.Command, c *config.Config) error {
		who, err := account()
		if err != nil {
			return err
		}
		enrolling := otp.Enrolling{SMSCode: secret.NewText(*code), Replace: *replace, Progress: func(step otp.EnrolmentStep) {
			_, _ = fmt.Fprintf(p.stderr, "pimsd: %s …\n", step)
		}}
		if enrolling.SMSCode.IsEmpty() {
			if enrolling.SMSCode, err = p.readSecret("SMS code"); err != nil {
				return err
			}
		}
		if enrolling.PIN, err = p.readSecret("PIN"); err != nil {
			return err
		}
		return withCore(cmd, c, func(core *app.Core) error {
			if _, err := core.OTP.Enroll(cmd.Context(), otp.Ask{Account: who, Caller: caller}, enrolling); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "The device of %q is enrolled and stored. Get an OTP with: pimsd otp --account %q\n", who, who)
			return err
		})
	})
}
