package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// comparisonRun is a row in which two sides give OTPs by turns.
type comparisonRun struct {
	callers     int
	delay       time.Duration // that each exchange with inWebo takes longer
	otpsPerTurn int           // OTPs in each turn
	pairs       int           // OTPs of each side, in all
	targets     func(ctx context.Context, l *env, callers int) ([2]*target, error)
}

// segments is how many parts a contest has; what is told of it is the median of its parts.
const segments = 20

// measured is what one side did in a segment.
type measured struct {
	took     []time.Duration // of each OTP
	together time.Duration   // the time of its turns
	cpu      time.Duration   // that its process used, in the other's turns too
}

func (c comparisonRun) measure(ctx context.Context, l *env, length float64) (f figures, err error) {
	targets, err := c.targets(ctx, l, c.callers)
	defer func() {
		for _, d := range targets {
			if d != nil {
				err = errors.Join(err, d.close())
			}
		}
	}()
	if err == nil {
		err = l.inwebo.delay(ctx, c.delay)
	}
	if err != nil {
		return f, err
	}
	issued, err := l.inwebo.issued(ctx)
	if err != nil {
		return f, err
	}
	rounds := max(1, int(float64(c.pairs)*length)/(segments*c.otpsPerTurn))
	for range max(2, rounds) { // warm
		if _, err := c.round(ctx, targets, 0); err != nil {
			return f, err
		}
	}
	before, err := countBoth(ctx, targets)
	if err != nil {
		return f, err
	}
	var all [segments][2]measured
	began := time.Now()
	for i := range all {
		if all[i], err = c.segment(ctx, targets, rounds); err != nil {
			return f, err
		}
		if i%5 == 4 {
			l.log("%d of %d pairs in %v", (i+1)*rounds*c.otpsPerTurn, segments*rounds*c.otpsPerTurn, time.Since(began).Round(time.Second))
		}
	}
	after, err := countBoth(ctx, targets)
	if err != nil {
		return f, err
	}
	if err := l.checkIssued(ctx, issued, targets); err != nil {
		return f, err
	}
	return c.figures(targets, all, before, after)
}

// segment is some rounds. Who goes first, goes second in the next.
func (c comparisonRun) segment(ctx context.Context, targets [2]*target, rounds int) (m [2]measured, err error) {
	var used [2]time.Duration
	for s, d := range targets {
		if used[s], err = cpuTime(d.process.pid()); err != nil {
			return m, err
		}
	}
	for r := range rounds {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		pair, err := c.round(ctx, targets, r%2)
		if err != nil {
			return m, err
		}
		for s := range m {
			m[s].took = append(m[s].took, pair[s].took...)
			m[s].together += pair[s].together
		}
	}
	for s, d := range targets {
		now, err := cpuTime(d.process.pid())
		if err != nil {
			return m, err
		}
		m[s].cpu = now - used[s]
		slices.Sort(m[s].took)
	}
	return m, nil
}

// round is a turn of each side.
func (c comparisonRun) round(ctx context.Context, targets [2]*target, first int) (m [2]measured, err error) {
	for _, s := range []int{first, 1 - first} {
		if m[s].took, m[s].together, err = targets[s].run(ctx, max(c.otpsPerTurn, c.callers)); err != nil {
			return m, err
		}
	}
	return m, nil
}

func countBoth(ctx context.Context, targets [2]*target) (c [2]counted, err error) {
	for s, d := range targets {
		if c[s], err = d.count(ctx); err != nil {
			return c, fmt.Errorf("count what %s has done: %w", d.name, err)
		}
	}
	return c, nil
}

// checkIssued holds what the sides say that they have given against what inWebo has issued since.
func (l *env) checkIssued(ctx context.Context, before int, targets [2]*target) error {
	now, err := l.inwebo.issued(ctx)
	if given := targets[0].total + targets[1].total; err == nil && given != now-before {
		err = fmt.Errorf("inWebo has issued %d OTPs, and the two sides have given %d", now-before, given)
	}
	return err
}

// figures are the medians over the segments.
func (c comparisonRun) figures(targets [2]*target, all [segments][2]measured, before, after [2]counted) (f figures, err error) {
	f.Sides = [2]string{targets[0].name, targets[1].name}
	for i := range all {
		f.Pairs += len(all[i][0].took)
	}
	f.add("p50", "ms", medians(all, func(m measured) float64 { return milliseconds(quantile(m.took, 50)) }))
	f.add("p99", "ms", medians(all, func(m measured) float64 { return milliseconds(quantile(m.took, 99)) }))
	f.add("OTPs per second", "", medians(all, func(m measured) float64 { return float64(len(m.took)) / m.together.Seconds() }))
	f.add("CPU per OTP", "ms", medians(all, func(m measured) float64 { return milliseconds(m.cpu) / float64(len(m.took)) }))
	per := func(of func(counted) float64) (p [2]float64) {
		for s := range p {
			p[s] = (of(after[s]) - of(before[s])) / float64(f.Pairs)
		}
		return p
	}
	f.add("allocations per OTP", "", single(per(func(c counted) float64 { return c.Objects })))
	f.add("KiB allocated per OTP", "", single(per(func(c counted) float64 { return c.Bytes / 1024 })))
	f.add("durable writes of records per OTP", "", single(per(func(c counted) float64 { return c.Commits })))
	if trips := per(func(c counted) float64 { return c.RoundTrips }); trips[0] > 0 {
		f.add("round trips per OTP", "", single(trips))
		f.add("KiB of write-ahead log per OTP", "", single(per(func(c counted) float64 { return c.Log / 1024 })))
	}
	var peaks [2]float64
	for s, d := range targets {
		_, peak, err := memory(d.process.pid())
		if err != nil {
			return f, err
		}
		peaks[s] = float64(peak) / (1 << 20)
	}
	f.add("most memory resident", "MiB", single(peaks))
	return f, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
