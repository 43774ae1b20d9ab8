package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/otp"
)

// addAccount adds the flag --account, which the command requires, and returns a function that reads it. parse is
// otp.ParseAccount where an account may come into being, and otp.ParseStoredAccount where it must be there.
func addAccount(cmd *cobra.Command, parse func(string) (otp.Account, error)) (read func() (otp.Account, error)) {
	name := cmd.Flags().String("account", "", "the `name` of the account (required)")
	return func() (otp.Account, error) {
		if *name == "" {
			return "", usageError{errors.New("--account is missing: say whose device it is")}
		}
		account, err := parse(*name)
		if err != nil {
			return "", usageError{fmt.Errorf("--account: %w", err)}
		}
		return account, nil
	}
}

// caller is who asks, in the audit log, when a command does.
const caller = "command"
