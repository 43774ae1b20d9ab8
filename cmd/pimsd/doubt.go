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
record cannot be read now. On PostgreSQL this also accepts the cluster that has the database by now, which the service refuses
when it is not the one that it used last.`,
	}
	all := cmd.Flags().Bool("all", false, "every account that has a device")
	account := addAccountOrAll(cmd, all)
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		who, err := account()
		if err != nil {
			return err
		}
		if *all {
			doubted, err := doubtAll(cmd.Context(), c)
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d in doubt.\n", doubted)
			}
			return err
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			err := core.OTP.Doubt(cmd.Context(), otp.Request{Account: who, Caller: caller})
			if err == nil {
				_, err = io.WriteString(cmd.OutOrStdout(), "1 in doubt.\n")
			}
			return err
		})
	})
}

// doubtAll puts every device in doubt, and returns how many there are.
func doubtAll(ctx context.Context, c *config.Config) (devices int, err error) {
	store, err := app.OpenMovedStore(ctx, c)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	line := otp.AuditEntry{Caller: caller, Action: actionDoubtAll, Stage: otp.StageOutcome, Outcome: outcomeDone}
	if err := store.RaiseEpoch(ctx, line); err != nil {
		return 0, fmt.Errorf("put every device in doubt: %w", err)
	}
	if devices, err = store.CountDoubt(ctx); err != nil {
		return 0, fmt.Errorf("every device is in doubt, and they could not be counted: %w", err)
	}
	return devices, nil
}

// What the audit log says when every device is put in doubt.
const (
	actionDoubtAll = "doubt-all"
	outcomeDone    = "done"
)
