package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/pimsd/pimsd/internal/testkit"
)

// childVariable names the environment variable that makes this test binary another process of the test that runs it:
// one of children, which gets the data directory from the second argument.
const childVariable = "PIMSD_STORE_TEST_CHILD"

func children() map[string]func(ctx context.Context, dir string) error {
	return map[string]func(context.Context, string) error{
		"load":      load,
		"share":     share,
		"broken":    breakBySyncing,
		"unwritten": failToWrite,
		"mounted":   openWhatIsMounted,
		"full":      fillTheDisk,
		"no room":   openWithoutRoom,
		"no copy":   restoreWithoutRoom,
		"readonly":  openWhatCannotBeWritten,
		"migrate":   migrateOnADiskThatFails,
		"frozen":    freezeWhileReading,
	}
}

func TestMain(m *testing.M) {
	if child, ok := children()[os.Getenv(childVariable)]; ok {
		if err := child(context.Background(), os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.UseMemory()
	goleak.VerifyTestMain(m)
}

// process gives this test binary as the child of that name, not yet started.
func process(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, dir)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = t.Output()
	return cmd
}
