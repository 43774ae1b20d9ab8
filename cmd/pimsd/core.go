package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

// withCore opens the store that the service uses, lets body work with it, and waits until everything is settled.
func withCore(cmd *cobra.Command, c *config.Config, body func(*app.Core) error) (err error) {
	core, err := app.OpenCore(cmd.Context(), c, false, app.Observers{})
	if err != nil {
		return err
	}
	defer func() {
		// The command may have been interrupted, or its answer be in hand and not stored: what it began, it ends.
		patience, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), c.Conversation.Deadline+c.Stop.SettleAllowance)
		defer cancel()
		if left := core.OTP.Drain(patience); len(left) > 0 {
			err = errors.Join(err, errors.New("the store did not take the outcome: the device is in doubt from now on"))
		}
		err = errors.Join(err, core.Close())
	}()
	return body(core)
}

// now is the commands' clock.
func now() time.Time { return time.Now() }
