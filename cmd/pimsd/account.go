package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

func newAccount(p process) *cobra.Command {
	return newGroup("account", "See accounts, and change what pimsd keeps of them",
		newAccountList(p), newAccountShow(p), newAccountUnlock(p), newAccountDoubt(p), newAccountDisable(p), newAccountEnable(p),
		newAccountSMS(p), newAccountForget(p), newAccountReread(p))
}

func newAccountList(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all accounts, a line each",
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	needs := cmd.Flags().String("needs", "",
		"list only the accounts that need `what`: enrollment, unlock, doubt (to be ended) or sms (few activations left)")
	completeValues(cmd, "needs", needNames()...)
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		need := otp.Need(*needs)
		if cmd.Flags().Changed("needs") && !slices.Contains(otp.AllNeeds(), need) {
			return usageError{fmt.Errorf("--needs: use one of %s", strings.Join(needNames(), ", "))}
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			all := []otp.Status{}
			err := core.EachAccount(cmd.Context(), func(status otp.Status) error {
				if status.State != otp.StateUnreadable && (need == "" || slices.Contains(status.Needs(), need)) {
					all = append(all, status)
				}
				return nil
			})
			if _, partly := errors.AsType[*app.UnreadableError](err); err != nil && !partly {
				return err
			}
			return errors.Join(show(cmd.OutOrStdout(), *asJSON, all, printAccounts), err)
		})
	})
}

func needNames() (names []string) {
	for _, need := range otp.AllNeeds() {
		names = append(names, string(need))
	}
	return names
}

// inspection is what account show prints as JSON: the status, and the record as it is stored, without secrets.
type inspection struct {
	otp.Status
	Record otp.Record `json:"record"`
}

func newAccountShow(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ACCOUNT",
		Short: "Show what is known of one account, without asking inWebo",
	}
	who := addAccount(cmd, otp.ParseStoredAccount)
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		return withRecords(cmd, c, func(core *app.Core) error {
			status, record, err := core.OTP.Inspect(cmd.Context(), *who)
			switch {
			case err != nil:
				return err
			case !status.Known:
				return errUnknown(*who)
			}
			return show(cmd.OutOrStdout(), *asJSON, inspection{status, record}, func(w io.Writer, shown inspection) error {
				return printAccount(p.hints(w), shown.Status)
			})
		})
	})
}

func newAccountUnlock(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unlock ACCOUNT",
		Short: "Let the PIN guard forward PINs again",
		Long: `Let the PIN guard forward the PINs of an account again, after it has held back further guesses.

Make sure of the PIN first: inWebo's own count goes on, and at its third wrong PIN it blocks the account.

With --quota, clear the OTPs that were counted in the last 24 hours instead, and leave the PIN guard as it is. inWebo's own count
goes on: use it after the clock of this machine was wrong, or when inWebo allows more.`,
	}
	quota := cmd.Flags().Bool("quota", false, "clear the account's quota instead of unlocking its PIN")
	return changing(p, cmd, func(service *otp.Service, ctx context.Context, ask otp.Request) error {
		if *quota {
			return service.ClearQuota(ctx, ask)
		}
		return service.Unlock(ctx, ask)
	}, "Calls of %[1]q are forwarded again.\n")
}

func newAccountDisable(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "disable ACCOUNT",
		Short: "Refuse the calls of an account, and keep its device",
		Long: `Refuse the calls of an account until it is enabled again, and keep its device. A call that is under way ends first. Callers get
code 2312 with the reason account_disabled.`,
	}
	return changing(p, cmd, (*otp.Service).Disable, "Calls of %[1]q are refused. Its device is kept.\n")
}

func newAccountEnable(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enable ACCOUNT",
		Short: "End what account disable began",
	}
	return changing(p, cmd, (*otp.Service).Enable, "Calls of %[1]q are no longer refused.\n")
}

func newAccountSMS(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sms ACCOUNT --used N",
		Short: "Count SMS activations that other clients made",
		Long: `Add SMS activations to the count of an account that other clients made. inWebo locks an account after about 20, and counts those
of every client; pimsd knows its own alone. The account need not be enrolled yet.`,
		Example: `  pimsd account sms alice --used 3`,
	}
	used := cmd.Flags().Int("used", 0, "how `many` activations other clients made since this was told last")
	return changing(p, cmd, func(service *otp.Service, ctx context.Context, ask otp.Request) error {
		if *used < 1 || *used > maxActivations {
			return usageError{fmt.Errorf("--used: use a whole number from 1 to %d", maxActivations)}
		}
		p.sayIfNew(ctx, service, ask.Account)
		return service.CountActivations(ctx, ask, *used)
	}, "They count for %[1]q; the sum: pimsd account show %[2]s\n")
}

// maxActivations is more than an account can have.
const maxActivations = 100

// changing makes a command that changes the record of one account.
func changing(p process, cmd *cobra.Command, change func(*otp.Service, context.Context, otp.Request) error, done string) *cobra.Command {
	who := addAccount(cmd, otp.ParseStoredAccount)
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		return withRecords(cmd, c, func(core *app.Core) error {
			if err := change(core.OTP, cmd.Context(), otp.Request{Account: *who, Caller: caller}); err != nil {
				return orUnknown(cmd.Context(), core.OTP, *who, err)
			}
			_, err := fmt.Fprintf(p.hints(cmd.OutOrStdout()), done, *who, word(*who))
			return err
		})
	})
}

func newAccountForget(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget ACCOUNT",
		Short: "Remove the device of an account from the store",
		Long: `Remove the device of an account from the store. Getting one back takes a new SMS code, of about 20 that an account has.

At inWebo the device stays in the user's list of devices, where the brand's app can remove it. pimsd keeps the serial for a
later enrollment, since a new one would cost one of the devices that the account may have. A record that cannot be opened or
decoded is removed as well; what is known of it is kept.`,
	}
	sure := cmd.Flags().Bool("yes", false, "do not ask whether it is meant")
	return changing(p, cmd, func(service *otp.Service, ctx context.Context, ask otp.Request) error {
		if isUnknown(ctx, service, ask.Account) {
			return errUnknown(ask.Account)
		}
		if !*sure {
			if err := p.confirm(ctx, fmt.Sprintf("Type %s to remove its device: ", ask.Account), string(ask.Account)); err != nil {
				return err
			}
		}
		return service.Forget(ctx, ask)
	}, "The device of %[1]q is removed from the store. At inWebo it stays in the list of devices.\n")
}

func errUnknown(account otp.Account) error {
	return fmt.Errorf("nothing is stored of an account %q: pimsd account list shows the accounts", account)
}

// isUnknown reports whether nothing is stored of the account: its name may be misspelled.
func isUnknown(ctx context.Context, service *otp.Service, account otp.Account) bool {
	status, err := service.Status(ctx, account)
	return err == nil && !status.Known
}

// sayIfNew says on standard error that nothing is stored of the account, to a command that needs nothing of it.
func (p process) sayIfNew(ctx context.Context, service *otp.Service, account otp.Account) {
	if isUnknown(ctx, service, account) {
		_, _ = fmt.Fprintf(p.stderr, "pimsd: nothing is stored of an account %q so far\n", account)
	}
}

// orUnknown returns the error of a command that names the account, or a plainer one where the account has no device because nothing is
// stored of it.
func orUnknown(ctx context.Context, service *otp.Service, account otp.Account, err error) error {
	if errors.Is(otp.CauseOf(err), otp.ErrNoDevice) && isUnknown(ctx, service, account) {
		return errUnknown(account)
	}
	return err
}

// confirm asks the person to type the word, on standard input.
func (p process) confirm(ctx context.Context, question, word string) error {
	_, _ = fmt.Fprint(p.stderr, question)
	line, err := p.readLine(ctx)
	if err != nil {
		return fmt.Errorf("the confirmation cannot be read from standard input: %w", err)
	}
	if line != word {
		return errors.New("not confirmed: nothing was changed (--yes confirms without asking)")
	}
	return nil
}
