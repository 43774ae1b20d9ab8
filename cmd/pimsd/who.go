package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/otp"
)

// addAccount gives the command the flag --account, which it cannot do without.
func addAccount(cmd *cobra.Command) (read func() (otp.Account, error)) {
	name := cmd.Flags().String("account", "", "the `name` of the account (required)")
	return func() (otp.Account, error) {
		if *name == "" {
			return "", usageError{errors.New("--account is missing: say whose device it is")}
		}
		account, err := otp.ParseAccount(*name)
		if err != nil {
			return "", usageError{fmt.Errorf("--account: %w", err)}
		}
		return account, nil
	}
}

// caller is who asks, in the audit log, when a command does.
const caller = "command"
