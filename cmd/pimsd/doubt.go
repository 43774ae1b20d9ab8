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

func newAccountDoubt(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doubt (ACCOUNT | --all)",
		Short: "Say that what is stored may lag behind inWebo",
		Long: `Say that the stored state of one device, or of all, may lag behind inWebo: after a backup was restored, or a database
failed over with loss. Such a state looks healthy. A device in doubt is tried again with what is stored, and when inWebo
refuses it, the caller is told what happened instead of "wrong PIN".

With --all the store's doubt epoch is raised, in one durable write: every device is in doubt, also one that is in use, or whose
record cannot be read now. Records that cannot be read are named, because they need a repair, and the exit status is then 1.
On PostgreSQL this also accepts the cluster that has the database by now, which the service refuses when it is not the one that it
used last.`,
	}
	all := cmd.Flags().Bool("all", false, "every account that has a device")
	who := addAccountOrAll(cmd, all)
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		if *all {
			return doubtAll(cmd.Context(), c, cmd.OutOrStdout())
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			err := core.OTP.Doubt(cmd.Context(), otp.Request{Account: *who, Caller: caller})
			if err == nil {
				_, err = io.WriteString(cmd.OutOrStdout(), "1 in doubt.\n")
			}
			return orUnknown(cmd.Context(), core.OTP, *who, err)
		})
	})
}

// doubtAll puts every device in doubt, and writes how many there are. Its error names the records that cannot be read: their devices are in
// doubt too, and need a repair.
func doubtAll(ctx context.Context, c *config.Config, out io.Writer) (err error) {
	core, err := app.OpenRecords(ctx, c, app.UseMoved)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	line := otp.AuditEntry{Caller: caller, Action: "doubt-all", Stage: otp.StageOutcome, Outcome: "done"}
	if err := core.Store.RaiseEpoch(ctx, line); err != nil {
		return fmt.Errorf("put every device in doubt: %w", err)
	}
	devices, err := core.CountDoubt(ctx)
	if _, partly := errors.AsType[*app.UnreadableError](err); err != nil && !partly {
		return fmt.Errorf("every device is in doubt, and they could not be counted: %w", err)
	}
	_, printed := fmt.Fprintf(out, "%d in doubt.\n", devices)
	return errors.Join(printed, err)
}
