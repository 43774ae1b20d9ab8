package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

func newAccountDoubt(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doubt (--account A | --all)",
		Short: "Say that what is stored may lag behind inWebo",
		Long: `Say that the stored state of one device, or of all, may lag behind inWebo: after a backup was restored, or a database
failed over with loss. Such a state looks healthy. A device in doubt is tried again with what is stored, and when inWebo
refuses it, the caller is told what happened instead of "wrong PIN".`,
	}
	name := cmd.Flags().String("account", "", "the `name` of the account")
	all := cmd.Flags().Bool("all", false, "every account that has a device")
	return withConfig(p, cmd, func(cmd *cobra.Command, c *config.Config) error {
		if (*name != "") == *all {
			return usageError{errors.New("say whose device it is: give either --account or --all")}
		}
		who, err := otp.ParseStoredAccount(*name)
		if err != nil && !*all {
			return usageError{fmt.Errorf("--account: %w", err)}
		}
		return withCore(cmd, c, func(core *app.Core) error {
			doubted := 1
			if *all {
				doubted, err = doubtAll(cmd.Context(), core)
			} else {
				err = core.OTP.Doubt(cmd.Context(), otp.Ask{Account: who, Caller: caller})
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d in doubt.\n", doubted)
			return err
		})
	})
}

// doubtAll doubts every device, and gives how many there are.
func doubtAll(ctx context.Context, core *app.Core) (doubted int, err error) {
	err = core.EachAccount(ctx, func(status otp.Status) error {
		err := core.OTP.Doubt(ctx, otp.Ask{Account: status.Account, Caller: caller})
		switch {
		case errors.Is(err, otp.ErrNoDevice):
			return nil
		case err != nil:
			return fmt.Errorf("account %q, after %d others: %w", status.Account, doubted, err)
		}
		doubted++
		return nil
	})
	return doubted, err
}
