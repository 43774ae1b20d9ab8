package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// configUse is what a command uses of the configuration.
type configUse int

const (
	useRecords  configUse = iota // the store, and no secret of a device: the command works where the sealing keys are missing
	useKeys                      // the store, and the sealing keys
	useSettings                  // every setting, and so a flag for each
)

// withConfig adds the flags that say where the file of settings and the store are, or one for every setting, and passes the
// configuration to the body. A command without a check of its arguments takes none.
func withConfig(p process, cmd *cobra.Command, use configUse, body func(*cobra.Command, *config.Config) error) *cobra.Command {
	if use == useSettings {
		addSettings(cmd)
	} else {
		config.StoreFlags(cmd.Flags())
	}
	if cmd.Args == nil {
		cmd.Args = noArgs
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in := p.settingsOf(cmd)
		in.WithoutKeys = use == useRecords
		c, err := config.Load(in)
		if err != nil {
			return err
		}
		if use != useSettings { // the service logs the warnings
			p.warn(app.SecretWarnings(c)...)
		}
		return body(cmd, c)
	}
	return cmd
}

// warn prints what the operator should know of a command that goes on.
func (p process) warn(warnings ...string) {
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(p.stderr, "pimsd: warning: %s\n", input.PrintableLines(warning))
	}
}

// addSettings adds a flag for every setting, except those that mean nothing to the command.
func addSettings(cmd *cobra.Command, except ...string) {
	config.Flags(cmd.Flags(), except...)
	for flag, words := range config.FlagWords() {
		if cmd.Flags().Lookup(flag) != nil {
			completeValues(cmd, flag, words...)
		}
	}
	cmd.SetUsageFunc(settingsUsage)
}

// settingsOf returns what the configuration of a command is read from.
func (p process) settingsOf(cmd *cobra.Command) config.Input {
	return config.Input{Flags: cmd.Flags(), Environ: p.environ, ReadFile: readFile, ReadSecret: readSecretFile, Root: p.root}
}

// maxConfigFile bounds, in bytes, what is read of a file that a setting or a flag names.
const maxConfigFile = 1 << 20

func readFile(path string) ([]byte, error) { return input.ReadFile(path, maxConfigFile) }

func readSecretFile(path string) ([]byte, error) {
	file, err := input.ReadSecretFile(path, maxConfigFile)
	return file.Content, err
}

// helpWidth is how many characters wide the help of settings may be.
const helpWidth = 120

// settingsUsage shows a command's own flags, those of the settings that an operator sets, and the names of the other settings.
func settingsUsage(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasExample() {
		_, _ = fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	groups := config.FlagGroups()
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !slices.ContainsFunc(groups, func(g config.FlagGroup) bool { return slices.Contains(g.Flags, f.Name) }) {
			own.AddFlag(f)
		}
	})
	_, _ = fmt.Fprintf(out, "\nFlags:\n%s", own.FlagUsagesWrapped(helpWidth))
	essential := pflag.NewFlagSet("essential", pflag.ContinueOnError)
	essential.SortFlags = false
	for _, name := range groups[0].Flags {
		essential.AddFlag(cmd.Flags().Lookup(name))
	}
	_, _ = fmt.Fprintf(out, "\n%s (flags win over the environment, which wins over the file):\n%s", groups[0].Title, essential.FlagUsages())
	for _, g := range groups[1:] {
		_, _ = fmt.Fprintf(out, "\n%s:\n%s", g.Title, flagNames(cmd, g.Flags))
	}
	_, err := fmt.Fprintf(out, "\n`%s config --default` and docs/configuration.md explain every setting.\n", cmd.Root().CommandPath())
	return err
}

// flagNames returns lines of the names of flags that the command has, no wider than the help.
func flagNames(cmd *cobra.Command, names []string) string {
	var flags []string
	for _, name := range names {
		if cmd.Flags().Lookup(name) != nil {
			flags = append(flags, "--"+name)
		}
	}
	return wrapped("      ", strings.Join(flags, " "), helpWidth)
}
