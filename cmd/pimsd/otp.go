package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

func newOTP(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "otp ACCOUNT",
		Short: "Get one OTP on the command line, the way the service does",
		Long: `Get one OTP of an account's device. The PIN is asked for on a terminal, or read from standard input.

It works beside a running service, and spends the account's quota as any call does.`,
		Example: `  pimsd otp alice
  pimsd otp alice < pin.txt`,
	}
	who := addAccount(cmd, otp.ParseStoredAccount)
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		pin, err := p.readPIN(cmd.Context())
		if err != nil {
			return err
		}
		return p.withConversation(cmd, c, func(core *app.Core) error {
			issued, err := core.OTP.IssueOTP(cmd.Context(), otp.Request{Account: *who, Caller: caller}, pin)
			if err != nil {
				return advised{orUnknown(cmd.Context(), core.OTP, *who, err), adviceFor(err)}
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), issued.OTP.Reveal()); err != nil {
				return advised{
					fmt.Errorf("the OTP was made and is lost: %w", err),
					"The device is stored, and not in doubt; the OTP counts in the quota. Ask again, with an output that is read.",
				}
			}
			return nil
		})
	})
}
