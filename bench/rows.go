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

// rows are all of them, in their order.
func rows() []row {
	const (
		crowded = 64
		goodFor = 20_480
	)
	all := []row{
		{
			name: "one", what: "pimsd and the floor, one caller",
			how: contest{callers: 1, turn: 1, pairs: 4_000, sides: againstFloor(inSQLite)},
		},
		{
			name: "delay", what: "pimsd and the floor, 16 callers, each exchange with inWebo takes 10 ms longer",
			how: contest{callers: 16, turn: 80, pairs: 3_200, delay: 10 * time.Millisecond, sides: againstFloor(inSQLite)},
		},
		{
			name: "callers-64", what: "pimsd and the floor, 64 callers",
			how: contest{callers: crowded, turn: 512, pairs: goodFor, sides: againstFloor(inSQLite)},
		},
		{
			name: "store-one", what: "the floor on pimsd's SQLite store and the floor, one caller",
			how: contest{callers: 1, turn: 1, pairs: 4_000, sides: floors},
		},
		{
			name: "store-delay", what: "the floor on pimsd's SQLite store and the floor, 16 callers, each exchange takes 10 ms longer",
			how: contest{callers: 16, turn: 80, pairs: 3_200, delay: 10 * time.Millisecond, sides: floors},
		},
		{
			name: "store-64", what: "the floor on pimsd's SQLite store and the floor, 64 callers",
			how: contest{callers: crowded, turn: 512, pairs: goodFor, sides: floors},
		},
		{
			name: "shares", what: "what pimsd spends its processor time on with 64 callers, by profile",
			how: shares{contest{callers: crowded, turn: 512, pairs: goodFor, sides: againstFloor(inSQLite)}},
		},
		{
			name: "callers-256", what: "pimsd and the floor, 256 callers",
			how: contest{callers: 256, turn: 1_024, pairs: goodFor, sides: againstFloor(inSQLite)},
		},
		{
			name: "postgres", what: "pimsd on PostgreSQL and the floor, 64 callers",
			how: contest{callers: crowded, turn: 512, pairs: goodFor, sides: againstFloor(inPostgres)},
		},
	}
	for _, size := range []struct {
		name  string
		count int
	}{{"100k", some}, {"1m", many}} {
		for _, kind := range []string{inSQLite, inPostgres} {
			slow, name := size.count == many, shortNames()[kind]+"-"+size.name
			what := fmt.Sprintf("pimsd on %s, %d accounts and %d", kind, size.count, few)
			all = append(all,
				row{name + "-start", what + ", from its start", slow, starts{kind, size.count}},
				row{name + "-even", what + ", 256 callers, all accounts alike", slow, contest{
					callers: 256, turn: 1_024, pairs: goodFor, sides: againstFew(kind, size.count, false),
				}},
				row{name + "-hot", what + ", 256 callers, nine of ten calls to 1 % of the accounts", slow, contest{
					callers: 256, turn: 1_024, pairs: goodFor, sides: againstFew(kind, size.count, true),
				}})
		}
	}
	return all
}

func shortNames() map[string]string {
	return map[string]string{inSQLite: "sqlite", inPostgres: "postgres"}
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
		sides[1], err = l.floorSide(ctx, few, callers, false)
		return sides, err
	}
}

// floors compares the floor with itself: what is between them is the store that one of them has.
func floors(ctx context.Context, l *lab, callers int) (sides [2]*side, err error) {
	for i := range sides {
		if sides[i], err = l.floorSide(ctx, few, callers, i == 0); err != nil {
			return sides, err
		}
	}
	return sides, nil
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

// chooseRows gives the rows of those names, none, or all that are not slow.
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
	// settling is how long a pimsd is left alone before its memory counts as that of an idle one.
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

// startOnce starts a pimsd and stops it, and gives the milliseconds until it was ready, and the MiB that it had then.
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
