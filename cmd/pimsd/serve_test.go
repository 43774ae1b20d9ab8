package main

import (
	"runtime/debug"
	"testing"
)

// How often garbage is collected is the environment's to say.
func TestCollectLess(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(1<<40)
	defer debug.SetGCPercent(percent)
	defer debug.SetMemoryLimit(limit)
	for _, test := range []struct {
		environ []string
		percent int
		limit   int64
	}{
		{[]string{"HOME=/"}, garbagePercent, memoryLimit},
		{[]string{"HOME=/", "GOGC=100"}, 100, memoryLimit},
		{[]string{"GOMEMLIMIT=1TiB"}, garbagePercent, 1 << 40},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(1 << 40)
		collectLess(test.environ)
		if percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1); percent != test.percent || limit != test.limit {
			t.Errorf("%v: the heap may grow by %d %%, to %d bytes", test.environ, percent, limit)
		}
	}
}
