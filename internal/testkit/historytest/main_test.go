package historytest

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/pimsd/pimsd/internal/testkit"
)

// shortChecks is rapid's own number of histories, which `make test` tries.
const shortChecks = "100"

// repeatShortRuns lets a run of that number try the same histories as every other: `make guard` draws new ones.
func repeatShortRuns() {
	flag.Parse()
	if seed := flag.Lookup("rapid.seed"); seed.Value.String() == "0" && flag.Lookup("rapid.checks").Value.String() == shortChecks {
		if err := flag.Set("rapid.seed", "1"); err != nil {
			panic(err)
		}
	}
}

// keepNoTestLog leaves out the log in which the go command records what a test has opened, for its cache: a full disk is a bound on
// the size of any file of this process, and a test fails whose log was not written.
func keepNoTestLog() {
	if err := flag.Set("test.testlogfile", ""); err != nil {
		panic(err)
	}
}

func TestMain(m *testing.M) {
	testkit.UseMemory()
	repeatShortRuns()
	keepNoTestLog()
	goleak.VerifyTestMain(m)
}
