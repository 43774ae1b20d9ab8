package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

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
		Args:              atMostOne,
		ValidArgsFunction: completeCode,
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := cmd.OutOrStdout()
		if len(args) == 0 {
			return show(out, *asJSON, errcodes.All(), printCodes)
		}
		entry, err := entryOf(args[0])
		if err != nil {
			return err
		}
		return show(out, *asJSON, entry, func(w io.Writer, e errcodes.Entry) error { return explain(p.hints(w), e) })
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

// printCodes writes a line for each code.
func printCodes(w io.Writer, all []errcodes.Entry) error {
	table := newTable(w, "CODE\tHTTP\tTYPE\tLABEL")
	for _, e := range all {
		printRow(table, e.Code, strings.Trim(fmt.Sprint(e.Statuses()), "[]"), e.Type, e.Label)
	}
	return table.Flush()
}

// explain writes what causes a code, and what the caller and the operator can do.
func explain(w io.Writer, e errcodes.Entry) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%v %s\n\nType: %s\n", e.Code, e.Label, e.Type)
	if len(e.Wire) > 0 {
		fmt.Fprintf(&text, "From inWebo: %s\n", strings.Join(e.Wire, ", "))
	}
	text.WriteString("\npimsd answers it when\n")
	for _, cause := range e.Causes {
		status := strconv.Itoa(cause.HTTP)
		if cause.RetryAfter {
			status += ", with Retry-After"
		}
		text.WriteString(wrapped("  - ", cause.When+" (HTTP "+status+")", explainWidth))
	}
	text.WriteString("\nThe caller\n" + wrapped("  ", e.Caller, explainWidth))
	text.WriteString("\nThe operator\n" + wrapped("  ", e.Operator, explainWidth))
	_, err := io.WriteString(w, text.String())
	return err
}

// explainWidth is how many characters wide an explanation is.
const explainWidth = 100
