package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

func newStoreRestore(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Put a backup in the place of the SQLite store, with every device in doubt",
		Long: `Put a backup of the SQLite store in the place of the present one. The service must be stopped, or in maintenance
(PIMSD_MAINTENANCE=yes); the present store is kept under another name. With - the backup is read from standard input.

A backup is an old store: the keys of a device that made an OTP since then are gone. So every device is in doubt afterwards, until
inWebo accepts it. Where the present store can be read, what must not be forgotten is taken over from it: wrong PINs, OTPs of the
quota, SMS activations, API keys and their revocations, spent Idempotency-Keys, and the audit log.

Nothing of the present store is changed before the new one is complete. Killed at any moment, the command leaves one or the other.`,
		Example: `  pimsd store restore /backup/pimsd.db
  kubectl exec -i svc/NAME-pimsd -- /pimsd store restore - --yes < pimsd.db`,
	}
	sure := cmd.Flags().Bool("yes", false, "do not ask whether it is meant")
	cmd.Args = oneCopy
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) (err error) {
		args := cmd.Flags().Args()
		if err := refusePostgres(c, adviceRestore); err != nil {
			return err
		}
		if !*sure && (args[0] == standardStream || !input.IsTerminal(p.stdin)) {
			return usageError{errors.New("there is no terminal to ask whether it is meant: add --yes")}
		}
		ctx, file := cmd.Context(), args[0]
		if file == standardStream {
			received, remove, err := app.ReceiveBackup(ctx, c, p.stdin)
			if err != nil {
				return err
			}
			defer func() { _ = remove() }()
			file = received
		}
		restore, err := app.PrepareRestore(ctx, c, file, caller)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, restore.Close()) }()
		if _, err := io.WriteString(p.hints(cmd.OutOrStdout()), planOf(restore)); err != nil {
			return err
		}
		if !*sure {
			if err := p.confirm(ctx, "Type restore to go on: ", "restore"); err != nil {
				return err
			}
		}
		return finishRestore(ctx, cmd.OutOrStdout(), restore)
	})
}

func finishRestore(ctx context.Context, out io.Writer, restore *app.Restore) error {
	aside, err := restore.Install(ctx)
	if err != nil {
		return err
	}
	text := "Restored. There was no store before.\n"
	if aside != "" {
		text = fmt.Sprintf("Restored. The store from before is kept: %s\n", aside)
	}
	_, err = io.WriteString(out, text+"Start the service.\n")
	return err
}

// planOf says what a restore does.
func planOf(r *app.Restore) string {
	var text strings.Builder
	fmt.Fprintf(&text, "The backup is good. It has %s and %s; each device will be in doubt, until inWebo accepts it.\n",
		input.Count(r.Accounts, "account"), input.Count(r.Doubted, "device"))
	if r.Unknown == nil {
		c := r.Carried
		fmt.Fprintf(&text, "From the present store are taken over: what accounts have counted, %s and %s of others, "+
			"%s, %s of the audit log.\n", input.Count(c.KeysAdded, "API key"), input.Count(c.KeysRevoked, "revocation"),
			input.Count(c.Spent, "Idempotency-Key"), input.Count(c.Lines, "line"))
	} else {
		fmt.Fprintf(&text, "Nothing is taken over from a present store: %v.\nUntil inWebo accepts a PIN, each account has one guess. "+
			"Before the service starts, disable the accounts that were locked since the backup (pimsd account disable), and revoke again every "+
			"API key that was revoked since (pimsd key list).\n", r.Unknown)
	}
	if len(r.Lost) > 0 {
		fmt.Fprintf(&text, "A new enrollment is needed by %s, whose device is in the present store alone:\n", input.Count(len(r.Lost), "account"))
		for _, account := range r.Lost {
			fmt.Fprintf(&text, "  %q\n", account)
		}
	}
	if len(r.Damaged) > 0 {
		fmt.Fprintf(&text, "%s of the backup cannot be read, and will not be changed:\n", input.Count(len(r.Damaged), "record"))
		for _, record := range r.Damaged {
			fmt.Fprintf(&text, "  %q: %v\n", record.Account, record.Err)
		}
	}
	return text.String()
}
