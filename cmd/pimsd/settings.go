package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// withConfig adds the flags that say where the file of settings and the store are, and passes the configuration to the body.
func withConfig(p process, cmd *cobra.Command, body func(*cobra.Command, *config.Config) error) *cobra.Command {
	return withArguments(p, cmd, argumentsOf(cmd), func(cmd *cobra.Command, c *config.Config, _ []string) error { return body(cmd, c) })
}

// withArguments is withConfig for a command that takes arguments.
func withArguments(
	p process, cmd *cobra.Command, check cobra.PositionalArgs, body func(*cobra.Command, *config.Config, []string) error,
) *cobra.Command {
	config.StoreFlags(cmd.Flags())
	cmd.Args = check
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := config.Load(p.settingsOf(cmd))
		if err != nil {
			return err
		}
		return body(cmd, c, args)
	}
	return cmd
}

// argumentsOf returns the check of the command's arguments; a command without one takes none.
func argumentsOf(cmd *cobra.Command) cobra.PositionalArgs {
	if cmd.Args != nil {
		return cmd.Args
	}
	return noArgs
}

// withoutKeys is withConfig for a body that opens no secret of a device: it works where the sealing keys are missing.
func withoutKeys(p process, cmd *cobra.Command, body func(*cobra.Command, *config.Config) error) *cobra.Command {
	config.StoreFlags(cmd.Flags())
	cmd.Args = argumentsOf(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in := p.settingsOf(cmd)
		in.WithoutKeys = true
		c, err := config.Load(in)
		if err != nil {
			return err
		}
		return body(cmd, c)
	}
	return cmd
}

// withSettings adds a flag for every setting. The body is given the error of a configuration that cannot be used.
func withSettings(p process, cmd *cobra.Command, body func(*cobra.Command, *config.Config, error) error) *cobra.Command {
	config.Flags(cmd.Flags())
	for flag, words := range config.FlagWords() {
		completeValues(cmd, flag, words...)
	}
	cmd.SetUsageFunc(settingsUsage)
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(p.settingsOf(cmd))
		return body(cmd, c, err)
	}
	return cmd
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
		_, _ = fmt.Fprintf(out, "\n%s:\n%s", g.Title, flagNames(g.Flags))
	}
	_, err := fmt.Fprintln(out, "\n`pimsd config --default` and docs/configuration.md explain every setting.")
	return err
}

// flagNames returns lines of names, no wider than the help.
func flagNames(names []string) string {
	var text strings.Builder
	column := 0
	for _, name := range names {
		name = "--" + name
		if column > 0 && column+len(name)+1 > helpWidth {
			text.WriteString("\n")
			column = 0
		}
		if column == 0 {
			text.WriteString("     ")
			column = 5
		}
		text.WriteString(" " + name)
		column += 1 + len(name)
	}
	return text.String() + "\n"
}
