package main

import (
	"slices"
	"time"
)

// figures are what a row has shown.
type figures struct {
	Row   string
	What  string
	Sides [2]string
	Pairs int
	Lines []comparison
}

// comparison is one figure of both sides.
type comparison struct {
	Figure, Unit string
	Values       [2]float64
	Ratio        float64    // of the first to the second, the median over the segments
	Spread       [2]float64 // the quartiles of that; zero when there is one value only
}

func (f *figures) add(figure, unit string, c comparison) {
	c.Figure, c.Unit = figure, unit
	f.Lines = append(f.Lines, c)
}

// find returns a figure by its name.
func (f *figures) find(figure string) (comparison, bool) {
	i := slices.IndexFunc(f.Lines, func(c comparison) bool { return c.Figure == figure })
	if i < 0 {
		return comparison{}, false
	}
	return f.Lines[i], true
}

// medians compares the two sides segment by segment.
func medians(all [segments][2]measured, of func(measured) float64) (c comparison) {
	var values [2][]float64
	var ratios []float64
	for _, pair := range all {
		a, b := of(pair[0]), of(pair[1])
		values[0], values[1] = append(values[0], a), append(values[1], b)
		ratios = append(ratios, ratio(a, b))
	}
	c.Values = [2]float64{middle(values[0], 50), middle(values[1], 50)}
	c.Ratio = middle(ratios, 50)
	c.Spread = [2]float64{middle(ratios, 25), middle(ratios, 75)}
	return c
}

// single compares what there is one value of.
func single(values [2]float64) comparison {
	return comparison{Values: values, Ratio: ratio(values[0], values[1])}
}

// ratio is 0 where there is none.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// middle is a percentile of values in any order.
func middle(values []float64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)*percent/100]
}

// quantile is a percentile of what is sorted.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)-1)*percent/100]
}
