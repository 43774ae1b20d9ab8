package main

import (
	"bytes"
	"context"
	"io"
	"runtime/debug"
	"strings"
	"testing"
)

// How often garbage is collected is the environment's to say.
func TestCollectLess(t *testing.T) {
	limit := debug.SetMemoryLimit(1 << 40)
	defer debug.SetMemoryLimit(limit)
	for _, test := range []struct {
		environ []string
		room    int
		limit   int64
	}{
		{[]string{"HOME=/"}, garbageRoom, memoryLimit},
		{[]string{"HOME=/", "GOGC=100"}, 0, memoryLimit},
		{[]string{"GOMEMLIMIT=1TiB"}, garbageRoom, 1 << 40},
	} {
		debug.SetMemoryLimit(1 << 40)
		room := collectLess(test.environ)
		if limit := debug.SetMemoryLimit(-1); len(room) != test.room || limit != test.limit {
			t.Errorf("%v: %d bytes count as in use, and the limit is %d bytes", test.environ, len(room), limit)
		}
	}
}

// A signal during the start is no fault of the configuration or the store, and the error says so.
func TestInterruptedStartSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said bytes.Buffer
	status := run(ctx, []string{"serve"}, process{
		stdout: io.Discard, stderr: &said, log: io.Discard,
		environ: []string{"PIMSD_DATA_DIR=" + t.TempDir(), "PIMSD_LISTEN=127.0.0.1:0", "PIMSD_OPS_LISTEN=127.0.0.1:0"},
	})
	text := said.String()
	if status != statusFailed || !strings.Contains(text, "startup was interrupted by a signal") || strings.Contains(text, "canceled") {
		t.Errorf("status %d: %s", status, text)
	}
}
