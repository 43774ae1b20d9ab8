package main

import (
	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/errcodes"
)

func newErrors() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "errors",
		Short: "List the codes that a call can answer, and what to do about each",
		Args:  noArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), errcodes.All())
		}
		return errcodes.WriteTable(cmd.OutOrStdout())
	}
	return cmd
}
