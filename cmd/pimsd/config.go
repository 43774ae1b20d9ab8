package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

func newConfig(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show every setting as it stands, and where it was set",
		Long: `Show every setting as the service would see it, and where it was set: the file with its line, the environment, a flag, or
nowhere. Secrets are not shown.

With --default it prints a file with every setting at its default and what it means, to begin one's own with.`,
		Example: `  pimsd config --default > pimsd.yaml
  pimsd config --config pimsd.yaml`,
	}
	example := cmd.Flags().Bool("default", false, "print a file of settings with every default, explained")
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	addSettings(cmd)
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		if *example {
			_, err := io.WriteString(out, config.Example())
			return err
		}
		c, err := config.Load(p.settingsOf(cmd))
		if err != nil {
			return err
		}
		p.warn(app.SecretWarnings(c)...)
		return show(out, *asJSON, c.Effective(), printSettings)
	}
	return cmd
}

func printSettings(w io.Writer, effective []config.Effective) error {
	table := newTable(w, "SETTING\tVALUE\tORIGIN")
	for _, e := range effective {
		printRow(table, e.Key, orEmptyText(e.Text), e.Origin)
	}
	return table.Flush()
}

func orEmptyText(text string) string {
	if text == "" {
		return `""`
	}
	return text
}
