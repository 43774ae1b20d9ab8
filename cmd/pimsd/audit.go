package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

func newAudit(p process) *cobra.Command {
	return newGroup("audit", "Read the audit log",
		newAuditList(p))
}

// auditPage is how many lines are read at a time.
const auditPage = 1000

func newAuditList(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the audit log, the oldest line first",
		Long: `List the audit log: a line for every attempt, which is stored before inWebo gets a proof, and one for its outcome.

A line that cannot be read whole is listed as far as it can be; the command names it and ends with status 1.

With --after ID it goes on behind the line that was seen last, and misses and repeats none. With --json each line is one JSON
object, for a log shipper.`,
		Example: `  pimsd audit list --after 4711 --json
  pimsd audit list --account alice --since 2d --last 20`,
	}
	l := auditListing{}
	flags := cmd.Flags()
	flags.Int64Var(&l.after, "after", 0, "the `id` of the last line that was seen; 0: from the beginning")
	account := flags.String("account", "", "only the lines of the account of this `name`")
	since := durationFlag(flags, "since", "only the lines of so much time until now, such as 90m or 2d")
	flags.IntVar(&l.last, "last", 0, "only so many lines, the `last` ones; 0: all")
	flags.BoolVar(&l.asJSON, "json", false, "one JSON object a line")
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) (err error) {
		if flags.Changed("account") {
			if l.account, err = parseName(*account, otp.ParseStoredAccount); err != nil {
				return err
			}
		}
		if l.last < 0 || *since < 0 {
			return usageError{errors.New("--last and --since are not negative")}
		}
		if *since > 0 {
			l.since = now().Add(-*since)
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			damaged, err := l.run(cmd.Context(), core.Store, cmd.OutOrStdout(), p.stderr)
			switch {
			case err != nil:
				return err
			case damaged > 0:
				return fmt.Errorf("lines of the audit log that cannot be read whole: %d", damaged)
			case l.account == "" || !isUnknown(cmd.Context(), core.OTP, l.account):
				return nil
			}
			return errIfNeverRecorded(cmd.Context(), core.Store, l.account)
		})
	})
}

// errIfNeverRecorded returns an error if the audit log has no line of an account of which nothing is stored.
func errIfNeverRecorded(ctx context.Context, store app.Store, account otp.Account) error {
	for after := int64(0); ; {
		lines, err := store.AuditAfter(ctx, after, auditPage)
		switch {
		case err != nil:
			return err
		case slices.ContainsFunc(lines, func(line otp.AuditRecord) bool { return line.Account == account }):
			return nil
		case len(lines) == 0:
			return fmt.Errorf("the audit log has no line of an account %q, and nothing is stored of it: "+
				"pimsd account list shows the accounts", account)
		}
		after = lines[len(lines)-1].ID
	}
}

// auditListing says which lines of the audit log are listed, and how.
type auditListing struct {
	after   int64
	account otp.Account // empty: of all
	since   time.Time   // zero: from the beginning
	last    int         // 0: all
	asJSON  bool
}

// run lists the lines, and returns how many of them are damaged.
func (l auditListing) run(ctx context.Context, store app.Store, out, said io.Writer) (damaged int, err error) {
	show := (&auditTable{}).print
	if l.asJSON {
		show = printAuditJSON
	}
	var last []otp.AuditRecord
	for {
		lines, err := store.AuditAfter(ctx, l.after, auditPage)
		if err != nil {
			return damaged, err
		}
		if len(lines) == 0 {
			return damaged + countDamaged(said, last), show(out, last)
		}
		l.after = lines[len(lines)-1].ID
		lines = slices.DeleteFunc(lines, l.leavesOut)
		if l.last > 0 {
			last = append(last, lines...)
			last = slices.Clone(last[max(0, len(last)-l.last):])
			continue
		}
		if err := show(out, lines); err != nil {
			return damaged, err
		}
		damaged += countDamaged(said, lines)
	}
}

// leavesOut reports whether a line is not wanted. A damaged one may lack what decides that, and is always wanted.
func (l auditListing) leavesOut(line otp.AuditRecord) bool {
	return line.Damage == "" && (l.account != "" && line.Account != l.account || line.At.Before(l.since))
}

// countDamaged returns how many lines are damaged, and prints what is wrong with each.
func countDamaged(w io.Writer, lines []otp.AuditRecord) (damaged int) {
	for _, l := range lines {
		if l.Damage != "" {
			damaged++
			_, _ = fmt.Fprintf(w, "pimsd: line %d: %s\n", l.ID, input.Printable(l.Damage))
		}
	}
	return damaged
}

// auditTable prints lines page by page, below one heading.
type auditTable struct{ isHeaded bool }

func (t *auditTable) print(w io.Writer, lines []otp.AuditRecord) error {
	heading := ""
	if !t.isHeaded && len(lines) > 0 {
		t.isHeaded = true
		heading = "LINE\tTIME\tACCOUNT\tACTION\tSTAGE\tOUTCOME\tCALLER\tSTEP\tTRANSACTION"
	}
	table := newTable(w, heading)
	for _, l := range lines {
		printRow(table, l.ID, l.At.Format(time.RFC3339), accountName(l.Account), l.Action, l.Stage, l.Outcome, l.Caller, l.Step, l.Transaction)
	}
	return table.Flush()
}

func printAuditJSON(w io.Writer, lines []otp.AuditRecord) error {
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
