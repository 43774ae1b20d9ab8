package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The page is what the figures make of it.
func TestTheReportIsOfTheResults(t *testing.T) {
	t.Parallel()
	all, err := readResults("results.json")
	if err != nil || len(all) == 0 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	page, err := os.ReadFile("../BENCHMARKS.md")
	if err != nil {
		t.Fatal(err)
	}
	if want, err := report(string(page), all); err != nil || string(page) != want {
		t.Errorf("BENCHMARKS.md is not what bench/results.json makes (%v): run `go run . -rows none`, or change report.go back", err)
	}
	prose, _, _ := strings.Cut(string(page), mark) // below it is a line for each row
	if words := len(strings.Fields(prose)); words >= 250 {
		t.Errorf("BENCHMARKS.md has %d words above its tables", words)
	}
}

// Every goal is of a row that there is, and every row has a name of its own.
func TestRowsAndGoals(t *testing.T) {
	t.Parallel()
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	if sorted := slices.Sorted(slices.Values(names)); len(slices.Compact(sorted)) != len(names) {
		t.Errorf("rows share names: %v", names)
	}
	for _, g := range goals() {
		if !slices.Contains(names, g.row) {
			t.Errorf("the goal %q is of no row", g.what)
		}
	}
	if chosen, err := chooseRows(""); err != nil || slices.ContainsFunc(chosen, func(r row) bool { return r.slow }) {
		t.Errorf("without a choice, slow rows are chosen (%v)", err)
	}
	if _, err := chooseRows("one,twelve"); err == nil || !strings.Contains(err.Error(), `no row "twelve"`) {
		t.Errorf("a row that there is not: %v", err)
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	var all [segments][2]measured
	for i := range all {
		all[i][0].together, all[i][1].together = time.Duration(2*(i+1)), time.Duration(i+1)
	}
	all[3][0].together = time.Hour // something else ran on the machine
	c := medians(all, func(m measured) float64 { return float64(m.together) })
	if c.Ratio != 2 || c.Spread != [2]float64{2, 2} || c.Values[1] != 10 {
		t.Errorf("compared as %+v", c)
	}
}

func TestAGoalIsJudged(t *testing.T) {
	t.Parallel()
	all := []figures{{Row: "one", Lines: []comparison{{Figure: "p50", Ratio: 1.5}}}}
	ratio := func(c comparison) float64 { return c.Ratio }
	for _, test := range []struct {
		goal       goal
		met, known bool
	}{
		{goal{row: "one", figure: "p50", of: ratio, bound: 1.4}, false, true},
		{goal{row: "one", figure: "p50", of: ratio, bound: 1.5}, true, true},
		{goal{row: "one", figure: "p50", of: ratio, bound: 1.6}, true, true},
		{goal{row: "one", figure: "p50", of: ratio, bound: 1.6, atLeast: true}, false, true},
		{goal{row: "two", figure: "p50", of: ratio, bound: 1.6}, false, false},
	} {
		if _, met, known := test.goal.check(all); met != test.met || known != test.known {
			t.Errorf("%+v: met %v, known %v", test.goal.bound, met, known)
		}
	}
}
