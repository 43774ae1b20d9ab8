package replicatest_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// whole asks for the numbers of `make race`, where `make test` takes a few.
var whole = flag.Bool("whole", false, "run the races and the rounds of signals at their full length")

// database is the server that tests take their databases from.
var database *pgtest.Server

// childVariable names the environment variable that makes this test binary a pimsd. Its value is the file of the pimsd's clock.
const childVariable = "REPLICA_TEST_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVariable); file != "" {
		if err := serve(clock(file)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.UseMemory()
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // those that may run side by side wait more than they work
		panic(err)
	}
	os.Exit(pgtest.Main(m, func(server *pgtest.Server) { database = server }))
}

// serve is what the command does.
func serve(on clock) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := config.Load(config.Input{Environ: os.Environ(), ReadFile: os.ReadFile})
	if err != nil {
		return err
	}
	c.Now = on.now
	a, err := app.New(ctx, c, os.Stderr)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// either is the number for `make test`, or that for `make race`.
func either(some, all int) int {
	if *whole {
		return all
	}
	return some
}

// noLeaks holds at the end of a test, and of all that it started, that nothing of it runs any more.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}
