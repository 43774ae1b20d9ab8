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
	how        measurer
}

type measurer interface {
	// measure measures in length times the usual time.
	measure(ctx context.Context, l *lab, length float64) (figures, error)
}

func (r row) measure(ctx context.Context, l *lab, length float64) (figures, error) {
	f, err := r.how.measure(ctx, l, length)
	f.Row, f.What = r.name, r.what
	return f, err
}

// How many accounts a store has.
const (
	few  = 1_000
	some = 100_000
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
	} {
		sides := againstFloor(r.kind)
		all = append(all, row{r.name, r.what, false, contest{callers: r.callers, delay: r.delay, turn: r.turn, pairs: r.pairs, sides: sides}})
	}
	for _, r := range []struct {
		name, kind string
		count      int
	}{
		{"sqlite-100k", inSQLite, some},
		{"postgres-100k", inPostgres, some},
		{"sqlite-1m", inSQLite, many},
		{"postgres-1m", inPostgres, many},
	} {
		compare := func(hot bool) contest {
			return contest{callers: 256, turn: 1_024, pairs: enough, sides: againstFew(r.kind, r.count, hot)}
		}
		slow := r.count == many
		all = append(all, row{r.name + "-start", "from the start of the service", slow, starts{r.kind, r.count}},
			row{r.name + "-even", "256 callers, all accounts alike", slow, compare(false)},
			row{r.name + "-hot", "256 callers, nine of ten calls to 1 % of the accounts", slow, compare(true)})
	}
	return all
}

// againstFloor compares a pimsd on a store of that kind with the floor.
func againstFloor(kind string) func(context.Context, *lab, int) ([2]*side, error) {
	return func(ctx context.Context, l *lab, callers int) (sides [2]*side, err error) {
		s, err := l.stock(ctx, kind, few)
		if err != nil {
			return sides, err
		}
		if sides[0], err = l.pimsdSide(ctx, "pimsd", l.pimsd, s, callers); err != nil {
			return sides, err
		}
		if l.against != "" {
			if s, err = l.stock(ctx, kind, few-1); err == nil {
				sides[1], err = l.pimsdSide(ctx, l.against, l.against, s, callers)
			}
			return sides, err
		}
		sides[1], err = l.floorSide(ctx, few, callers)
		return sides, err
	}
}

// againstFew compares a pimsd with many accounts with one that has few.
func againstFew(kind string, count int, hot bool) func(context.Context, *lab, int) ([2]*side, error) {
	return func(ctx context.Context, l *lab, callers int) (sides [2]*side, err error) {
		for i, n := range []int{count, few} {
			s, err := l.stock(ctx, kind, n)
			if err != nil {
				return sides, err
			}
			if sides[i], err = l.pimsdSide(ctx, fmt.Sprintf("%d accounts", n), l.pimsd, s, callers); err != nil {
				return sides, err
			}
		}
		sides[0].hot = hot
		return sides, nil
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
type starts struct {
	kind  string
	count int
}

const (
	startings = 9
	// settling is how long a pimsd stays idle before its memory counts as that of an idle one.
	settling = time.Second
)

func (s starts) measure(ctx context.Context, l *lab, _ float64) (f figures, err error) {
	f.Pairs = startings
	var ready, resident [2][]float64
	for n := range startings {
		for turn := range 2 {
			i := (n + turn) % 2
			count := []int{s.count, few}[i]
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
func (l *lab) startOnce(ctx context.Context, kind string, count int) (ready, resident float64, err error) {
	s, err := l.stock(ctx, kind, count)
	if err != nil {
		return 0, 0, err
	}
	v, err := l.serve(ctx, l.pimsd, s)
	if err != nil {
		return 0, 0, err
	}
	time.Sleep(settling)
	bytes, _, err := memory(v.pid())
	return milliseconds(v.ready), float64(bytes) / (1 << 20), errors.Join(err, v.stop())
}
