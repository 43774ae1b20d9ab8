package testkit

import (
	"context"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// stopTimeout is longer than a simulator takes that works.
const stopTimeout = time.Minute

// StartInwebo starts a simulator that serves until tb ends. The log of a test that fails has its seed.
func StartInwebo(tb testing.TB, options inwebosim.Options) *inwebosim.Simulator {
	tb.Helper()
	inwebo, err := inwebosim.New(options)
	if err != nil {
		tb.Fatal(err)
	}
	inwebo.Start()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), stopTimeout)
		defer cancel()
		if err := inwebo.Stop(ctx); err != nil {
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Logf("seed of inWebo: %d", inwebo.Seed())
		}
	})
	return inwebo
}
