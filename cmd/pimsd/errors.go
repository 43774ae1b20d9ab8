package main

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/errcodes"
)

func newErrors(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "errors [CODE]",
		Short: "List the codes that a call can answer, or explain one",
		Long:  "List the codes that a call can answer. With a code: what causes it, and what the caller and the operator can do about it.",
		Example: `  pimsd errors
  pimsd errors 2308`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArgs(cmd, args)
			}
			return nil
		},
		ValidArgsFunction: completeCode,
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := cmd.OutOrStdout()
		if len(args) == 0 {
			if *asJSON {
				return printJSON(out, errcodes.All())
			}
			return errcodes.WriteTable(out)
		}
		entry, err := entryOf(args[0])
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(out, entry)
		default:
			return entry.Explain(p.hints(out))
		}
	}
	return cmd
}

// entryOf returns the entry of a code. Its error does not repeat the argument.
func entryOf(arg string) (errcodes.Entry, error) {
	number, err := strconv.Atoi(arg)
	entry, known := errcodes.Lookup(errcodes.Code(number))
	if err != nil || !known {
		return entry, usageError{errors.New(`there is no such code: "pimsd errors" lists them`)}
	}
	return entry, nil
}

func completeCode(_ *cobra.Command, args []string, _ string) (codes []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, entry := range errcodes.All() {
			codes = append(codes, cobra.CompletionWithDesc(entry.Code.String(), entry.Label))
		}
	}
	return codes, cobra.ShellCompDirectiveNoFileComp
}
