package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/telemetry"
)

func newServe(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service until it is told to stop (SIGTERM, Ctrl-C), and then for as long as conversations with inWebo need. Further
signals do not make it faster: a service that is killed (SIGKILL) in a conversation leaves the device in doubt.

The log goes to standard error: text on a terminal, and else a JSON object a line (log.format). The store is made in the data
directory when that is missing or empty. Settings come from the file named by --config or PIMSD_CONFIG, the environment and the
flags. SIGHUP makes it read its TLS certificate again.`,
	}
	return withConfig(p, cmd, useSettings, func(cmd *cobra.Command, c *config.Config) error {
		defer runtime.KeepAlive(collectLess(p.environ))
		a, err := app.New(cmd.Context(), c, p.log)
		if err != nil {
			return startError(cmd.Context(), err)
		}
		if !c.Maintenance {
			release := p.signals.Protect(a.StillStopping)
			defer release()
		}
		p.signals.OnHangup(a.Reload)
		a.ReportTo(telemetry.ServiceManagerOf(p.environ, os.Getpid()))
		return a.Run(cmd.Context())
	})
}

// startError returns the error of a service that did not start. One that was told to end meanwhile says so.
func startError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("startup was interrupted by a signal, and no call was taken: %w", err)
}

const (
	// garbageRoom is how much garbage, in bytes, the heap has room for in addition to as much as is in use, which is Go's default. With
	// some dozens of callers a few megabytes are in use, and by that default alone they would be collected dozens of times a second.
	// A percentage that is right for them would let the heap of hundreds of callers grow to several times what is in use.
	garbageRoom = 8 << 20
	// memoryLimit, in bytes, is from where on garbage is collected as often as it takes to stay below. Thousands of calls
	// at once fit under it, and it fits under the limit of a container with 256 MiB.
	memoryLimit = 192 << 20
)

// collectLess collects garbage less often than Go does by itself, unless the environment says how often. For that it returns bytes that
// the caller keeps for as long as the service runs: they count as in use, and take no memory.
func collectLess(environ []string) (room []byte) {
	if _, given := input.LookupEnv(environ, "GOMEMLIMIT"); !given {
		debug.SetMemoryLimit(memoryLimit)
	}
	if _, given := input.LookupEnv(environ, "GOGC"); !given {
		room = make([]byte, garbageRoom)
		returnPages(room)
	}
	return room
}
