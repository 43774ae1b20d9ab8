package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

func newSimulator(process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulator",
		Short: "Run the inWebo simulator alone, for tests",
		Long: `Run a simulator of the inWebo service, for tests of pimsd and of any other client of the protocol. It takes the SMS
code 123456, verifies OTPs at /FS for any serviceId and userId, and can be made as hostile as you like at its control
listener. It knows no real account and keeps nothing.

How it answers a client that never saw its last answer (--lost-finalize), and whether it checks the PIN in a proof
(--check-pin), is not known of the real server: both ways are there.`,
		Args: noArgs,
	}
	options := inwebosim.Options{Knobs: inwebosim.DefaultKnobs()}
	flags := cmd.Flags()
	flags.StringVar(&options.Listen, "listen", inwebosim.DefaultListen, "`host:port` of the protocol and of /FS")
	flags.StringVar(&options.Control, "control", inwebosim.DefaultControl, "`host:port` of the control listener")
	flags.BoolVar(&options.BeyondLoopback, "beyond-loopback", false, "listening where other machines reach it is meant")
	flags.Uint64Var(&options.Seed, "seed", 0, "repeat the run of this `seed`; 0 draws one")
	addKnobs(cmd, &options.Knobs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		simulator, err := newListeningSimulator(options, "choose other addresses with --listen and --control")
		if err != nil {
			return err
		}
		simulator.Start()
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "protocol %s\ncontrol %s\nseed %d\n",
			simulator.ProtocolURL(), simulator.ControlURL(), simulator.Seed())
		<-cmd.Context().Done()
		return stopSimulator(cmd.Context(), simulator)
	}
	return cmd
}

// newListeningSimulator returns a simulator that listens. Where an address is in use, its error advises what to do instead.
func newListeningSimulator(options inwebosim.Options, instead string) (*inwebosim.Simulator, error) {
	simulator, err := inwebosim.New(options)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, advised{err, "Another simulator may listen there: stop it, or " + instead + "."}
	case err != nil:
		return nil, usageError{err}
	}
	return simulator, nil
}

// addKnobs adds the flags of the simulator's knobs.
func addKnobs(cmd *cobra.Command, knobs *inwebosim.Knobs) {
	set := flag.NewFlagSet("knobs", flag.ContinueOnError)
	knobs.Flags(set)
	cmd.Flags().AddGoFlagSet(set)
	for name, values := range inwebosim.KnobValues() {
		completeValues(cmd, name, values...)
	}
}

// simulatorTimeout is how long a simulator that is told to stop may take.
const simulatorTimeout = 5 * time.Second

func stopSimulator(ctx context.Context, simulator *inwebosim.Simulator) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), simulatorTimeout)
	defer cancel()
	return simulator.Stop(ctx)
}
