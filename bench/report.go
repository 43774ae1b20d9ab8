package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// goal is something that a figure must show.
type goal struct {
	what, row, figure string
	of                func(comparison) float64
	atLeast           bool
	bound             float64
}

func goals() []goal {
	ratio := func(c comparison) float64 { return c.Ratio }
	first := func(c comparison) float64 { return c.Values[0] }
	return []goal{
		{"p50, one caller", "one", "p50", ratio, false, 1.25},
		{"p50, 16 callers, delay", "delay", "p50", ratio, false, 1.08},
		{"CPU per OTP, 64 callers", "callers-64", "CPU per OTP", ratio, false, 1.78},
		{"OTPs per second, 64 callers", "callers-64", "OTPs per second", ratio, true, 0.65},
		{"CPU per OTP, million accounts", "sqlite-1m-even", "CPU per OTP", ratio, false, 1.10},
		{"p50, 64 callers, PostgreSQL", "postgres", "p50", ratio, false, 2.3},
		{"CPU per OTP, 64 callers, PostgreSQL", "postgres", "CPU per OTP", ratio, false, 1.9},
		{"OTPs per second, 64 callers, PostgreSQL", "postgres", "OTPs per second", ratio, true, 0.42},
		{"MiB, 256 callers", "callers-256", "most memory resident", first, false, 80},
		{"idle MiB, million accounts", "sqlite-1m-start", "memory resident, idle", first, false, 64},
		{"start in ms, million accounts", "sqlite-1m-start", "start to ready", first, false, 250},
		{"durable writes per OTP", "one", "durable writes of records per OTP", first, false, 2},
	}
}

// check compares the figure with the goal. It gives false when it was not measured.
func (g goal) check(all []figures) (value float64, met, known bool) {
	for _, f := range all {
		if c, ok := f.find(g.figure); ok && f.Row == g.row {
			value = g.of(c)
			return value, value == g.bound || (value > g.bound) == g.atLeast, true
		}
	}
	return 0, false, false
}

// mark is the line of the page below which the tables are written.
const mark = "<!-- The tables below are written by `make bench` from bench/results.json. -->\n"

// report returns the page with the tables of the figures below the mark.
func report(page string, all []figures) (string, error) {
	head, _, found := strings.Cut(page, mark)
	if !found {
		return "", fmt.Errorf("the page has no line %q", strings.TrimSpace(mark))
	}
	var text strings.Builder
	text.WriteString(head + mark + "\n| goal | bound | measured | |\n|---|---|---|---|\n")
	for _, g := range goals() {
		sign := "≤"
		if g.atLeast {
			sign = "≥"
		}
		measured, result := "–", ""
		if value, met, known := g.check(all); known {
			measured, result = number(value), "met"
			if !met {
				result = "**missed**"
			}
		}
		fmt.Fprintf(&text, "| %s | %s%s | %s | %s |\n", g.what, sign, strconv.FormatFloat(g.bound, 'f', -1, 64), measured, result)
	}
	columns := []string{
		"p50", "OTPs per second", "CPU per OTP", "round trips per OTP", "most memory resident", "start to ready",
		"memory resident, idle",
	}
	text.WriteString("\n| row | p50, ms | OTPs per second | CPU per OTP, ms | round trips per OTP | most MiB resident | " +
		"start to ready, ms | idle, MiB |\n" +
		"|---" + strings.Repeat("|---", len(columns)) + "|\n")
	for _, f := range all {
		fmt.Fprintf(&text, "| %s |", f.Row)
		for _, column := range columns {
			cell := "–"
			if c, ok := f.find(column); ok {
				cells := c.cells()
				cell = fmt.Sprintf("%s/%s (%s)", cells[1], cells[2], cells[3])
			}
			text.WriteString(" " + cell + " |")
		}
		text.WriteString("\n")
	}
	return text.String(), nil
}

// cells are the texts of a line.
func (c comparison) cells() []string {
	name, ratio, spread := c.Figure, "–", "–"
	if c.Unit != "" {
		name += ", " + c.Unit
	}
	values := [2]string{number(c.Values[0]), number(c.Values[1])}
	if c.Ratio != 0 {
		ratio = number(c.Ratio)
	} else if c.Values[1] == 0 {
		values[1] = "–"
	}
	if c.Spread != [2]float64{} {
		spread = number(c.Spread[0]) + " – " + number(c.Spread[1])
	}
	return []string{name, values[0], values[1], ratio, spread}
}

// number writes three digits that count, and whole numbers whole.
func number(x float64) string {
	switch {
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}

// printFigures prints what a row has shown.
func printFigures(w io.Writer, f figures) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\n%s (%d pairs)\tours\tbaseline\tratio\tquartiles\n", f.Row, f.Pairs)
	for _, c := range f.Lines {
		_, _ = fmt.Fprintln(table, strings.Join(c.cells(), "\t"))
	}
	_, _ = fmt.Fprintln(table)
	_ = table.Flush() // a reader that has gone needs no figures
}
