package crashtest_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// whole asks for every point, as `make crash` does, where `make test` takes samples.
var whole = flag.Bool("whole", false, "try every point at which a crash could happen, instead of some")

// childVariable names the environment variable that makes this test binary the process that is watched: one of children.
const childVariable = "PIMSD_CRASH_TEST_CHILD"

// children are given their arguments.
func children() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(context.Context, []string) error{
		"daemon": func(ctx context.Context, args []string) error { return issue(ctx, args, startDaemon) },
		"hasty":  func(ctx context.Context, args []string) error { return issue(ctx, args, startHasty) },
		"files":  touchFiles,
		"four":   askTogether,

		"restore": func(ctx context.Context, args []string) error { return restoreBackup(ctx, args[0], args[1]) },
	}
}

func TestMain(m *testing.M) {
	if child, ok := children()[os.Getenv(childVariable)]; ok {
		err := crashtest.Submit()
		if err == nil {
			err = child(context.Background(), os.Args[1:])
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.UseMemory()
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // tests that may run side by side wait more than they work
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// watch runs this test binary as a child below root. It returns what the child wrote to standard error, and whether it
// ended by itself with an error.
func watch(ctx context.Context, child string, args []string, root string, decide func(crashtest.Call) crashtest.Action) (log string, failed bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", false, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+child)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = crashtest.Watch(cmd, root, decide)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return stderr.String(), true, nil
	}
	return stderr.String(), false, err
}
