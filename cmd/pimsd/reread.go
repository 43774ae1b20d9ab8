package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

func newAccountReread(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reread (ACCOUNT | --all)",
		Short: "Read answers of inWebo again that could not be read",
		Long: `Read answers of inWebo again that an older pimsd could not read and has kept, sealed, with the record: they may carry new
keys that exist nowhere else. Run it after an update.

An answer is applied only if the device has not gone on since. No PIN is needed. The device stays in doubt, and keeps the
state from before, until inWebo accepts an OTP's proof. The answer itself is never shown, and is deleted then.`,
	}
	all := cmd.Flags().Bool("all", false, "every account that has such answers")
	who := addAccountOrAll(cmd, all)
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		return withCore(cmd, c, func(core *app.Core) error {
			if *all {
				return rereadAll(cmd.Context(), core, cmd.OutOrStdout())
			}
			return orUnknown(cmd.Context(), core.OTP, *who, reread(cmd.Context(), core, cmd.OutOrStdout(), *who))
		})
	})
}

// reread reads the kept answers of one account, and prints what became of them.
func reread(ctx context.Context, core *app.Core, out io.Writer, account otp.Account) error {
	did, err := core.OTP.Reread(ctx, otp.Request{Account: account, Caller: caller})
	if err == nil {
		_, err = fmt.Fprintf(out, "%s: %s\n", account, rereadText(did))
	}
	return err
}

// rereadAll goes on past an account that fails, and names those that did.
func rereadAll(ctx context.Context, core *app.Core, out io.Writer) error {
	accounts, failed := 0, []error(nil)
	err := core.EachAccount(ctx, func(status otp.Status) error {
		if status.UnreadAnswers == 0 {
			return nil
		}
		accounts++
		if err := reread(ctx, core, out, status.Account); err != nil {
			failed = append(failed, fmt.Errorf("account %q: %w", status.Account, err))
		}
		return ctx.Err()
	})
	if err == nil && accounts == 0 {
		_, err = fmt.Fprintln(out, "No account has such answers.")
	}
	return errors.Join(append(failed, err)...)
}

// rereadText says what became of the kept answers of an account, the most important first.
func rereadText(did otp.Reread) string {
	switch {
	case did.Unread == 0:
		return "no such answers are kept"
	case did.Enrolled:
		return "the enrollment is complete; the device is in doubt until inWebo has accepted it"
	case did.Applied > 0:
		return "the device has the new state; it is in doubt until inWebo has accepted it"
	case did.NeedsPIN > 0:
		return "an activation cannot be completed without the PIN: enroll again, with a new SMS code"
	case did.Unreadable > 0:
		return "this pimsd cannot read them either; they are still kept"
	case did.Outdated > 0:
		return "the device has gone on since; nothing was changed"
	default:
		return "they are refusals; nothing was changed"
	}
}
