package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

func newAccountDoubt(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doubt (ACCOUNT | --all)",
		Short: "Say that what is stored may lag behind inWebo",
		Long: `Say that the stored state of one device, or of all, may lag behind inWebo: after a backup was restored, or a database
failed over with loss. Such a state looks healthy. A device in doubt is tried again with what is stored, and when inWebo
refuses it, the caller is told what happened instead of "wrong PIN".

With --all it goes on past an account that is in use, or whose record cannot be read, lists these at the end, and exits with
status 1: run it again.`,
	}
	all := cmd.Flags().Bool("all", false, "every account that has a device")
	account := addAccountOrAll(cmd, all)
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		who, err := account()
		if err != nil {
			return err
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			doubted := 1
			if *all {
				doubted, err = doubtAll(cmd.Context(), core)
			} else if err := core.OTP.Doubt(cmd.Context(), otp.Ask{Account: who, Caller: caller}); err != nil {
				return err
			}
			if _, printed := fmt.Fprintf(cmd.OutOrStdout(), "%d in doubt.\n", doubted); printed != nil {
				return printed
			}
			return err
		})
	})
}

// doubtAll puts every device in doubt, and returns how many. It goes on past accounts with which that cannot be done now; the
// error is a *leftError that names them.
func doubtAll(ctx context.Context, core *app.Core) (doubted int, err error) {
	left := &leftError{}
	err = core.EachAccount(ctx, func(status otp.Status) error {
		switch err := core.OTP.Doubt(ctx, otp.Ask{Account: status.Account, Caller: caller}); {
		case err == nil:
			doubted++
		case errors.Is(err, otp.ErrNoDevice):
		case ctx.Err() != nil:
			return fmt.Errorf("account %q and those after it: %w", status.Account, err)
		default:
			left.accounts = append(left.accounts, app.Unreadable{Account: status.Account, Err: err})
		}
		return nil
	})
	if unreadable, ok := errors.AsType[*app.UnreadableError](err); ok {
		left.accounts = append(left.accounts, unreadable.Records...)
		err = nil
	}
	if err == nil && len(left.accounts) > 0 {
		err = left
	}
	return doubted, err
}

// leftError names accounts with which a command could not do what it does with all.
type leftError struct{ accounts []app.Unreadable }

// Error names each account on a line of its own.
func (e *leftError) Error() string {
	lines := []string{fmt.Sprintf("%d accounts are left as they were:", len(e.accounts))}
	if len(e.accounts) == 1 {
		lines[0] = "1 account is left as it was:"
	}
	for _, account := range e.accounts {
		lines = append(lines, fmt.Sprintf("  %q: %v", account.Account, account.Err))
	}
	return strings.Join(lines, "\n")
}
