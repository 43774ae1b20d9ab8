package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// row is one measurement.
type row struct {
	name, what string
	slow       bool // it fills a store with a million accounts, and is measured only when it is asked for
	// measure measures in length times the usual time.
	measure func(ctx context.Context, l *env, length float64) (figures, error)
}

// How many accounts a store has.
const (
	few  = 1_000
	many = 1_000_000
)

// enough is how many OTPs each side of a row with many callers makes.
const enough = 20_480

// rows returns all of them, in their order.
func rows() (all []row) {
	for _, r := range []struct {
		name, kind           string
		callers, turn, pairs int
		delay                time.Duration
		what                 string
	}{
		{"one", inSQLite, 1, 1, 4_000, 0, "one caller"},
		{"delay", inSQLite, 16, 80, 3_200, 10 * time.Millisecond, "16 callers, each exchange with inWebo takes 10 ms longer"},
		{"callers-64", inSQLite, 64, 512, enough, 0, "64 callers"},
		{"callers-256", inSQLite, 256, 1_024, enough, 0, "256 callers"},
		{"postgres", inPostgres, 64, 512, enough, 0, "64 callers, on PostgreSQL"},
		{"postgres-1ms", inDistantPostgres, 64, 512, enough, 0, "64 callers, on PostgreSQL that is 1 ms away"},
		{"postgres-standby", inReplicatedPostgres, 64, 512, enough, 0, "64 callers, on PostgreSQL with a synchronous standby"},
		{"postgres-one", inPostgres, 1, 1, 4_000, 0, "one caller, on PostgreSQL"},
		{"postgres-one-1ms", inDistantPostgres, 1, 1, 2_000, 0, "one caller, on PostgreSQL that is 1 ms away"},
		{"postgres-one-standby", inReplicatedPostgres, 1, 1, 2_000, 0, "one caller, on PostgreSQL with a synchronous standby"},
	} {
		run := comparisonRun{callers: r.callers, delay: r.delay, otpsPerTurn: r.turn, pairs: r.pairs, targets: againstFloor(r.kind)}
		all = append(all, row{r.name, r.what, false, run.measure})
	}
	for _, r := range []struct{ name, kind string }{{"sqlite-1m", inSQLite}, {"postgres-1m", inPostgres}} {
		even := comparisonRun{callers: 256, otpsPerTurn: 1_024, pairs: enough, targets: againstFew(r.kind, false)}
		hot := even
		hot.targets = againstFew(r.kind, true)
		all = append(all, row{r.name + "-start", "from the start of the service", true, starts{r.kind}.measure},
			row{r.name + "-even", "256 callers, all accounts alike", true, even.measure},
			row{r.name + "-hot", "256 callers, nine of ten calls to 1 % of the accounts", true, hot.measure})
	}
	return all
}

// againstFloor compares a pimsd on a store of that kind with the baseline.
func againstFloor(kind string) func(context.Context, *env, int) ([2]*target, error) {
	return func(ctx context.Context, l *env, callers int) (targets [2]*target, err error) {
		s, err := l.dataset(ctx, kind, few)
		if err != nil {
			return targets, err
		}
		if targets[0], err = l.pimsdTarget(ctx, "pimsd", l.pimsd, s, callers); err != nil {
			return targets, err
		}
		if l.against != "" {
			if s, err = l.dataset(ctx, kind, few-1); err == nil {
				targets[1], err = l.pimsdTarget(ctx, l.against, l.against, s, callers)
			}
			return targets, err
		}
		targets[1], err = l.baselineTarget(ctx, few, callers)
		return targets, err
	}
}

// againstFew compares a pimsd with many accounts with one that has few.
func againstFew(kind string, hot bool) func(context.Context, *env, int) ([2]*target, error) {
	return func(ctx context.Context, l *env, callers int) (targets [2]*target, err error) {
		for i, n := range []int{many, few} {
			s, err := l.dataset(ctx, kind, n)
			if err != nil {
				return targets, err
			}
			if targets[i], err = l.pimsdTarget(ctx, fmt.Sprintf("%d accounts", n), l.pimsd, s, callers); err != nil {
				return targets, err
			}
		}
		targets[0].hot = hot
		return targets, nil
	}
}

// chooseRows returns the rows of those names, none, or all that are not slow.
func chooseRows(names string) (chosen []row, err error) {
	if names == "" {
		return slices.DeleteFunc(rows(), func(r row) bool { return r.slow }), nil
	}
	if names == "none" {
		return nil, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := placeOf(name)
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q; the rows are:\n%s", name, describeRows())
		}
		chosen = append(chosen, rows()[i])
	}
	return chosen, nil
}

func placeOf(name string) int {
	return slices.IndexFunc(rows(), func(r row) bool { return r.name == name })
}

// starts is a row that starts pimsd again and again, on a store with many accounts and on one with few, by turns.
type starts struct{ kind string }

const (
	startings = 9
	// idleBeforeMeasure is how long a pimsd stays idle before its memory counts as that of an idle one.
	idleBeforeMeasure = time.Second
)

func (s starts) measure(ctx context.Context, l *env, _ float64) (f figures, err error) {
	f.Pairs = startings
	var ready, resident [2][]float64
	for n := range startings {
		for turn := range 2 {
			i := (n + turn) % 2
			count := []int{many, few}[i]
			f.Sides[i] = fmt.Sprintf("%d accounts", count)
			took, memory, err := l.startOnce(ctx, s.kind, count)
			if err != nil {
				return f, err
			}
			ready[i], resident[i] = append(ready[i], took), append(resident[i], memory)
		}
	}
	f.add("start to ready", "ms", single([2]float64{middle(ready[0], 50), middle(ready[1], 50)}))
	f.add("memory resident, idle", "MiB", single([2]float64{middle(resident[0], 50), middle(resident[1], 50)}))
	return f, nil
}

// startOnce starts a pimsd and stops it, and returns the milliseconds until it was ready, and the MiB that it had then.
func (l *env) startOnce(ctx context.Context, kind string, count int) (ready, resident float64, err error) {
	s, err := l.dataset(ctx, kind, count)
	if err != nil {
		return 0, 0, err
	}
	v, err := l.serve(ctx, l.pimsd, s)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(idleBeforeMeasure)
	bytes, _, err := memory(v.pid())
	return milliseconds(v.ready), float64(bytes) / (1 << 20), errors.Join(err, v.stop())
}
