package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// Exit statuses (docs/contract.md §6).
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

// process is all that the commands may know of the process they run in.
type process struct {
	program string       // what calls it again
	call    *invocation  // set by run
	stdin   *os.File     // asked whether it is a terminal
	lines   *input.Lines // of stdin
	stdout  io.Writer
	stderr  io.Writer // takes messages for people, and does not block
	log     io.Writer // takes the log of a service
	environ []string
	root    bool
	signals *signals
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// run carries out one command line and returns the exit status. A command whose output could not be written has failed.
func run(ctx context.Context, args []string, p process) int {
	out := &output{to: p.stdout}
	p.call = &invocation{program: cmp.Or(p.program, programName)}
	p.stdout, p.stderr = out, p.hints(p.stderr)
	root := newRoot(p)
	p.call.root = root
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { p.call.command = cmd }
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return statusDone
	}
	_, _ = fmt.Fprintf(p.stderr, "pimsd: %s\n", input.PrintableLines(errorText(ctx, err)))
	if advice := adviceFor(err); advice != "" {
		_, _ = fmt.Fprintln(p.stderr, withName(cmd, advice))
	}
	var usage usageError
	var faults config.Faults
	if errors.As(err, &usage) || errors.As(err, &faults) {
		return statusUsage
	}
	return statusFailed
}

// errorText returns the text of the error of a command. One that was told to end by a signal says so.
func errorText(ctx context.Context, err error) string {
	if ctx.Err() == nil {
		return err.Error()
	}
	return strings.NewReplacer(
		context.Canceled.Error(), "interrupted by a signal",
		"operation was canceled", "interrupted by a signal", // as net words it
	).Replace(err.Error())
}

func newRoot(p process) *cobra.Command {
	root := &cobra.Command{
		Use:   "pimsd",
		Short: "One-time passwords of inWebo devices over HTTP",
		Long: `pimsd is the inWebo device behind the PIMS calls of connected cars (Peugeot, Citroën, DS, Opel, Vauxhall), for
many accounts, on a server: enrolled once with an SMS code and a PIN, it makes a one-time password for each call.

Try it with "pimsd dev": it needs nothing and touches no real account.`,
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if p.program != "" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: p.program}
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 { // the flag may be one of the command that is meant
			return noArgs(cmd, words)
		}
		return usageError{fmt.Errorf("%w; %ssee %q", err, meantFlag(cmd, err), cmd.CommandPath()+" --help")}
	})
	root.AddCommand(
		newServe(p), newDev(p), newSimulator(p), newEnroll(p), newImport(p), newOTP(p), newAccount(p), newKey(p), newAudit(p), newSeal(p),
		newStore(p), newCheck(p), newConfig(p), newErrors(p), newHealth(p), newVersion(),
	)
	return root
}

// atMostOne refuses more than one argument.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return noArgs(cmd, args)
	}
	return nil
}

// newGroup returns a command that has others, and does nothing itself.
func newGroup(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: name, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(commands...)
	return group
}

// meantFlag asks whether the flag was meant that an unknown one is likely to be a misspelling of; empty when there is none.
func meantFlag(cmd *cobra.Command, err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if meant := config.Meant(unknown.GetSpecifiedName(), names); meant != "" {
		return "did you mean --" + meant + "? "
	}
	return ""
}

// noArgs refuses arguments that are no flags; a secret typed there by mistake is not repeated.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		hint := ""
		cmd.SuggestionsMinimumDistance = 2 // letters
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf(", did you mean %q?", near[0])
		}
		return usageError{fmt.Errorf("%q has no command of that name%s; see %q", cmd.CommandPath(), hint, cmd.CommandPath()+" --help")}
	}
	return usageError{fmt.Errorf("%q takes no arguments but flags; see %q", cmd.CommandPath(), cmd.CommandPath()+" --help")}
}
