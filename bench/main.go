// Command bench measures what one OTP costs through pimsd, against the baseline: the least that a service can do that makes
// the same two exchanges with inWebo and the same two durable writes.
//
// Load generator, simulated inWebo, floor and pimsd are processes of their own, on loopback. The two that are compared
// take turns, round by round, and so does which of them goes first: only ratios of what was measured side by side mean
// anything on a machine that does other things as well. The command must never measure a pimsd with anything turned off
// that a caller, an operator or an auditor would miss: callers are authenticated, devices sealed, PINs guarded, attempts
// audited, requests logged and counted. The quota alone is off, because it would refuse most calls, and no caller is held back.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The roles that the command plays when it starts itself again.
const (
	roleBaseline  = "baseline"
	roleSimulator = "simulator"
	roleService   = "service" // pimsd, with its profiles written at its end
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case roleBaseline:
			return runBaseline(ctx, os.Stdin, os.Stdout)
		case roleSimulator:
			return runSimulator(ctx, os.Stdin, os.Stdout)
		case roleService:
			return runService(ctx, os.Environ(), args[1], os.Stderr)
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if len(o.rows) == 0 {
		return o.writeReport()
	}
	return o.measure(ctx, os.Stderr, os.Stdout)
}

// options are the command line.
type options struct {
	rows     []row
	scratch  string  // where stores and logs go while it runs
	results  string  // the file with the figures of every row that was ever measured
	report   string  // the page that is made of them
	length   float64 // of the rows, in their usual length
	profiles string  // where the profiles of pimsd go; empty: none are taken
	pimsd    string  // the program that is measured; empty: this tree's
	against  string  // another pimsd, which is in for the baseline; empty: the baseline
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := flags.String("rows", "",
		"the `names` of the rows, joined by commas; empty: all that take minutes; none: only write the report. All are:\n"+describeRows())
	flags.StringVar(&o.scratch, "scratch", "", "where a new `folder` holds the stores, on a disk; empty: where temporary files go")
	flags.StringVar(&o.results, "results", "results.json", "the `file` that keeps the figures of each row until it is measured again")
	flags.StringVar(&o.report, "report", "../BENCHMARKS.md", "the `file` whose tables are written from them")
	flags.Float64Var(&o.length, "length", 1, "how many times its usual length a row has; below 1 it is a rehearsal, and nothing is kept")
	flags.StringVar(&o.profiles, "profiles", "", "write the profiles of pimsd to this `folder`; what is measured meanwhile is not kept")
	flags.StringVar(&o.pimsd, "pimsd", "", "measure this pimsd `program`, and keep nothing; empty: that of this tree, which is built")
	flags.StringVar(&o.against, "against", "", "compare with this pimsd `program` instead of the baseline, and keep nothing")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, errors.New("it takes no arguments but flags")
	}
	o.rows, err = chooseRows(*names)
	return o, err
}

// measure measures the rows, one after the other. What is measured is kept at once, so that a run that is cut short can be
// taken up with the rows that are left.
func (o options) measure(ctx context.Context, progress, table io.Writer) (err error) {
	scratch, err := os.MkdirTemp(o.scratch, "pimsd-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	l := &env{scratch: scratch, progress: progress, profileDir: o.profiles, pimsd: o.pimsd, against: o.against}
	if err := l.build(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for i, row := range o.rows {
		l.log("row %d of %d, %s: %s", i+1, len(o.rows), row.name, row.what)
		figures, err := row.measure(ctx, l, o.length)
		if err != nil {
			return fmt.Errorf("row %s: %w", row.name, err)
		}
		figures.Row, figures.What = row.name, row.what
		printFigures(table, figures)
		if o.length < 1 || o.profiles+o.pimsd+o.against != "" {
			continue
		}
		if err := o.save(figures); err != nil {
			return err
		}
	}
	return nil
}

// save puts the figures in the place of older ones of their row, and writes the report again.
func (o options) save(f figures) error {
	all, err := readResults(o.results)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(old figures) bool { return old.Row == f.Row })
	all = append(all, f)
	slices.SortFunc(all, func(a, b figures) int { return placeOf(a.Row) - placeOf(b.Row) })
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.results, append(text, '\n'), 0o644); err != nil { //nolint:gosec // figures are for everybody
		return err
	}
	return o.writeReport()
}

// writeReport writes the report of what is kept.
func (o options) writeReport() error {
	all, err := readResults(o.results)
	if err != nil {
		return err
	}
	page, err := os.ReadFile(o.report)
	if err != nil {
		return err
	}
	text, err := report(string(page), all)
	if err != nil {
		return err
	}
	return os.WriteFile(o.report, []byte(text), 0o644) //nolint:gosec // figures are for everybody
}

func readResults(file string) (all []figures, err error) {
	text, err := os.ReadFile(filepath.Clean(file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

func describeRows() string {
	var text strings.Builder
	for _, row := range rows() {
		fmt.Fprintf(&text, "  %-16s %s\n", row.name, row.what)
	}
	return text.String()
}
