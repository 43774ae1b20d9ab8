package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

func newAudit(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read the audit log",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditList(p))
	return cmd
}

// auditPage is how many lines are read at a time.
const auditPage = 1000

func newAuditList(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the audit log, the oldest line first",
		Long: `List the audit log: a line for every attempt, which is stored before inWebo is asked, and one for its outcome.

A line that cannot be read whole is listed as far as it can be; the command names it and ends with status 1.

With --after ID it goes on behind the line that was seen last, and misses and repeats none. With --json each line is one JSON
object, for a log shipper.`,
		Example: `  pimsd audit list --after 4711 --json`,
	}
	after := cmd.Flags().Int64("after", 0, "the `id` of the last line that was seen; 0: from the beginning")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	return withoutKeys(p, cmd, func(cmd *cobra.Command, c *config.Config) error {
		return withRecords(cmd, c, func(core *app.Core) error {
			show := printAudit
			if *asJSON {
				show = printAuditJSON
			}
			damaged := 0
			for {
				lines, err := core.Store.AuditAfter(cmd.Context(), *after, auditPage)
				if err == nil && len(lines) == 0 && damaged > 0 {
					err = fmt.Errorf("lines of the audit log that cannot be read whole: %d", damaged)
				}
				if err != nil || len(lines) == 0 {
					return err
				}
				if err := show(cmd.OutOrStdout(), lines); err != nil {
					return err
				}
				damaged += countDamaged(p.stderr, lines)
				*after = lines[len(lines)-1].ID
			}
		})
	})
}

// countDamaged returns how many lines are damaged, and says of each what is wrong.
func countDamaged(w io.Writer, lines []otp.Audited) (damaged int) {
	for _, l := range lines {
		if l.Damage != "" {
			damaged++
			_, _ = fmt.Fprintf(w, "pimsd: line %d: %s\n", l.ID, input.Printable(l.Damage))
		}
	}
	return damaged
}

func printAudit(w io.Writer, lines []otp.Audited) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		printRow(table, l.ID, l.At.Format(time.RFC3339), accountName(l.Account), l.Action, l.Stage, l.Outcome, l.Caller,
			fmt.Sprintf("step %d", l.Step), l.Transaction)
	}
	return table.Flush()
}

func printAuditJSON(w io.Writer, lines []otp.Audited) error {
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(input.PrintableJSON(text), '\n')); err != nil {
			return err
		}
	}
	return nil
}
