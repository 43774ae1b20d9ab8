package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show which pimsd this is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

func versionLine() string {
	build := app.Build()
	return fmt.Sprintf("pimsd %s %s %s", build.Version, build.Revision, build.GoVersion)
}
