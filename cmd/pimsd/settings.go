package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
)

// withConfig gives the command a flag for every setting, and its body the configuration.
func withConfig(p process, cmd *cobra.Command, body func(*cobra.Command, *config.Config) error) *cobra.Command {
	return withArguments(p, cmd, noArgs, func(cmd *cobra.Command, c *config.Config, _ []string) error { return body(cmd, c) })
}

// withArguments is withConfig for a command that takes arguments.
func withArguments(
	p process, cmd *cobra.Command, check cobra.PositionalArgs, body func(*cobra.Command, *config.Config, []string) error,
) *cobra.Command {
	return withFlags(p, cmd, check, func(cmd *cobra.Command, args []string, c *config.Config, err error) error {
		if err != nil {
			return err
		}
		return body(cmd, c, args)
	})
}

// withSettings is withConfig for a body that has something to say when the configuration cannot be used.
func withSettings(p process, cmd *cobra.Command, body func(*cobra.Command, *config.Config, error) error) *cobra.Command {
	return withFlags(p, cmd, noArgs, func(cmd *cobra.Command, _ []string, c *config.Config, err error) error { return body(cmd, c, err) })
}

func withFlags(
	p process, cmd *cobra.Command, check cobra.PositionalArgs, body func(*cobra.Command, []string, *config.Config, error) error,
) *cobra.Command {
	settings := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	config.Flags(settings)
	cmd.SetUsageFunc(usageWith(settings))
	cmd.Flags().AddFlagSet(settings)
	cmd.Args = check
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := config.Load(config.Input{
			Flags: cmd.Flags(), Environ: p.environ, ReadFile: readFile, ReadSecret: readSecretFile, Root: p.root,
		})
		return body(cmd, args, c, err)
	}
	return cmd
}

// maxConfigFile bounds, in bytes, what is read of a file that a setting or a flag names.
const maxConfigFile = 1 << 20

func readFile(path string) ([]byte, error) { return input.ReadFile(path, maxConfigFile) }

func readSecretFile(path string) ([]byte, error) {
	file, err := input.ReadSecretFile(path, maxConfigFile)
	return file.Content, err
}

// helpWidth is how wide the help of settings may get.
const helpWidth = 120

// usageWith shows a command's own flags before the settings, which every command has.
func usageWith(settings *pflag.FlagSet) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		own := pflag.NewFlagSet("own", pflag.ContinueOnError)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if settings.Lookup(f.Name) == nil {
				own.AddFlag(f)
			}
		})
		out := cmd.OutOrStdout()
		_, _ = fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
		if cmd.HasExample() {
			_, _ = fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
		}
		_, _ = fmt.Fprintf(out, "\nFlags:\n%s", own.FlagUsagesWrapped(helpWidth))
		_, err := fmt.Fprintf(out, "\nSettings (the environment wins over the file, flags win over both):\n%s",
			settings.FlagUsagesWrapped(helpWidth))
		return err
	}
}
