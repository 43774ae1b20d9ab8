package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// healthTimeout is what a container's health check may take.
const healthTimeout = 3 * time.Second

func newHealth(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running service of this machine whether it lives",
		Long: `Ask /livez on the operators' listener whether the service lives. Exit status 0 means that it does, and that it uses the data
directory of this configuration.`,
		Example: `  pimsd health
  pimsd health --wait 30s`,
	}
	config.FlagsOf(cmd.Flags(), "ops.listen")
	wait := durationFlag(cmd.Flags(), "wait", "how long to wait for a service that is starting, such as 30s")
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), max(*wait, healthTimeout))
		defer cancel()
		for {
			answered, err := askHealth(ctx, cmd.OutOrStdout(), c)
			if err == nil || answered || *wait == 0 {
				return err
			}
			select {
			case <-ctx.Done():
				return err
			case <-time.After(healthPause):
			}
		}
	})
}

// healthPause lies between two questions.
const healthPause = 100 * time.Millisecond

// askHealth asks once, and reports whether a service answered that has started. A service with another data directory is an error: the
// configuration and the service do not belong together.
func askHealth(ctx context.Context, w io.Writer, c *config.Config) (answered bool, err error) {
	answer, err := app.AskOperators(ctx, c)
	if err != nil {
		return false, err
	}
	address, shown := answer.Address, answer.DataDir
	switch {
	case answer.Starts && answer.IsOf(c):
		return false, fmt.Errorf("the service at %s is starting: it opens, verifies or migrates its store; wait for it with --wait", address)
	case answer.Status != http.StatusOK:
		return true, fmt.Errorf("%s answers with HTTP %d", address, answer.Status)
	case shown == "":
		return true, fmt.Errorf("what answers at ops.listen, %s, is no pimsd: choose another address with --ops-listen", address)
	case !answer.IsOf(c) && !c.DatabaseURL.IsEmpty():
		return true, fmt.Errorf("the service at ops.listen, %s, uses another store than the PostgreSQL database of database_url: set "+
			"database_url and ops.listen to those of one service", address)
	case !answer.IsOf(c):
		return true, fmt.Errorf("the service at ops.listen, %s, uses the data directory %s, and this configuration %s: set data_dir and "+
			"ops.listen to those of one service", address, input.Printable(shown), app.ShownDataDir(c))
	}
	_, err = fmt.Fprintf(w, "alive: the service of %s answers at %s\n", input.Printable(shown), address)
	return true, err
}
