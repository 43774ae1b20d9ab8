package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell which pimsd this is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			build := app.Build()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "pimsd %s %s %s\n", build.Version, build.Revision, build.GoVersion)
			return err
		},
	}
}
