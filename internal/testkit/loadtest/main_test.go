package loadtest_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pimsd/pimsd/internal/testkit"
)

// whole asks for the full length, where `make test` takes a few seconds.
var whole = flag.Bool("whole", false, "run the overload at its full length")

func TestMain(m *testing.M) {
	testkit.UseMemory()
	flag.Parse()
	if err := flag.Set("test.parallel", "64"); err != nil { // those that may run side by side wait more than they work
		panic(err)
	}
	// A proxy that is stopped with data in flight leaves the goroutine behind that wanted to pass the data on.
	abandoned := goleak.IgnoreTopFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe")
	goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit), abandoned)
}

// either is the time for `make test`, or that for the whole.
func either(some, all time.Duration) time.Duration {
	if *whole {
		return all
	}
	return some
}

const aPIN = "1234"
