package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

// withCore opens the store that the service uses, lets body work with it, and waits until everything is settled.
func withCore(cmd *cobra.Command, c *config.Config, body func(*app.Core) error) error {
	core, err := app.OpenCore(cmd.Context(), c, false, app.Observers{})
	if err != nil {
		return err
	}
	return work(cmd, c, core, body)
}

// withRecords is withCore for a body that opens no secret of a device. It needs no sealing keys.
func withRecords(cmd *cobra.Command, c *config.Config, body func(*app.Core) error) error {
	core, err := app.OpenRecords(cmd.Context(), c, app.Use)
	if err != nil {
		return err
	}
	return work(cmd, c, core, body)
}

// work lets body work with the core, and closes it when everything is settled.
func work(cmd *cobra.Command, c *config.Config, core *app.Core, body func(*app.Core) error) (err error) {
	defer func() {
		// The command may have been interrupted, or its answer be in hand and not stored: what it began, it ends.
		drainCtx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), c.Conversation.Deadline+c.Stop.SettleAllowance)
		defer cancel()
		if left := core.OTP.Drain(drainCtx); len(left) > 0 {
			err = errors.Join(err, errors.New("the store did not take the outcome: the device is in doubt from now on"))
		}
		if incomplete := core.CloseTranscript(); incomplete != nil {
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "pimsd: the transcript is not complete: %v\n", incomplete)
		}
		err = errors.Join(err, core.Close())
	}()
	return body(core)
}

// withConversation is withCore for a body that talks to inWebo. No signal cuts it off; a person who sends one is told that the
// command waits.
func (p process) withConversation(cmd *cobra.Command, c *config.Config, body func(*app.Core) error) error {
	longest := c.Conversation.QueueWait + otp.EnrollmentDeadlines*c.Conversation.Deadline + c.Stop.SettleAllowance
	release := p.signals.Protect(func() {
		_, _ = fmt.Fprintf(p.stderr, "pimsd: told to end; the command waits until its conversation with inWebo is stored, %v at most: "+
			"killed now, it could cost the device\n", longest)
	})
	defer release()
	if cmd.Context().Err() != nil {
		return errInterrupted
	}
	return withCore(cmd, c, body)
}

// now is the commands' clock.
func now() time.Time { return time.Now() }
