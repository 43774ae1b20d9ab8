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
		{"median time of an OTP ÷ the floor's, one caller", "one", "p50", ratio, false, 1.30},
		{"the same with 10 ms per exchange, 16 callers", "delay", "p50", ratio, false, 1.01},
		{"CPU per OTP ÷ the floor's, 64 callers", "callers-64", "CPU per OTP", ratio, false, 1.8},
		{"OTPs per second ÷ the floor's, 64 callers", "callers-64", "OTPs per second", ratio, true, 0.6},
		{"CPU per OTP with 1,000,000 accounts ÷ with 1,000", "sqlite-1m-even", "CPU per OTP", ratio, false, 1.15},
		{"memory resident, idle, 1,000,000 accounts, MiB", "sqlite-1m-start", "memory resident, idle", first, false, 64},
		{"memory resident at 256 callers, MiB", "callers-256", "most memory resident", first, false, 128},
		{"start to ready with 1,000,000 accounts, ms", "sqlite-1m-start", "start to ready", first, false, 250},
		{"durable writes of records on the path of one OTP", "one", "durable writes of records per OTP", first, false, 2},
	}
}

// judge compares the figure with the goal. It gives false when it was not measured.
func (g goal) judge(all []figures) (value float64, met, known bool) {
	for _, f := range all {
		if c, ok := f.find(g.figure); ok && f.Row == g.row {
			value = g.of(c)
			return value, value == g.bound || (value > g.bound) == g.atLeast, true
		}
	}
	return 0, false, false
}

// report is the page that shows all figures.
func report(all []figures) string {
	var page strings.Builder
	page.WriteString(reportHead)
	page.WriteString("\n## Goals\n\n| figure | goal | measured | |\n|---|---|---|---|\n")
	for _, g := range goals() {
		sign := "≤"
		if g.atLeast {
			sign = "≥"
		}
		measured, verdict := "–", "not measured"
		if value, met, known := g.judge(all); known {
			measured, verdict = number(value), "met"
			if !met {
				verdict = "**missed**"
			}
		}
		fmt.Fprintf(&page, "| %s | %s %s | %s | %s |\n", g.what, sign, strconv.FormatFloat(g.bound, 'f', -1, 64), measured, verdict)
	}
	page.WriteString(reportWhy)
	for _, f := range all {
		fmt.Fprintf(&page, "\n## %s\n\n%s. Pairs: %d.\n\n| figure | %s | %s | ratio | quartiles of the ratio |\n|---|---|---|---|---|\n",
			f.Row, strings.ToUpper(f.What[:1])+f.What[1:], f.Pairs, f.Sides[0], f.Sides[1])
		for _, c := range f.Lines {
			fmt.Fprintf(&page, "| %s |\n", strings.Join(c.cells(), " | "))
		}
	}
	return page.String()
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

// printFigures prints a row for who waits for it.
func printFigures(w io.Writer, f figures) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\n%s (%d pairs)\t%s\t%s\tratio\tquartiles\n", f.Row, f.Pairs, f.Sides[0], f.Sides[1])
	for _, c := range f.Lines {
		_, _ = fmt.Fprintln(table, strings.Join(c.cells(), "\t"))
	}
	_, _ = fmt.Fprintln(table)
	_ = table.Flush() // who asked has gone when this fails
}
