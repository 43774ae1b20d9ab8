package historytest

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// memoryFiles is a folder whose files are in memory, where the machine has one: a sync costs nothing there, and what is synced
// is not what these tests are about.
const memoryFiles = "/dev/shm"

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
	repeatShortRuns()
	keepNoTestLog()
	dir, err := useMemoryFiles()
	if err != nil {
		fmt.Fprintln(os.Stderr, "files are on the disk:", err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(dir) // an empty name is nothing to remove
		os.Exit(status)
	}))
}

// useMemoryFiles makes a folder for temporary files that are in memory.
func useMemoryFiles() (dir string, err error) {
	if dir, err = os.MkdirTemp(memoryFiles, "pimsd-histories-"); err != nil {
		return "", err
	}
	if err = os.Chmod(dir, 0o755); err == nil { // PostgreSQL's server may run as another user
		err = os.Setenv("TMPDIR", dir)
	}
	return dir, err
}
