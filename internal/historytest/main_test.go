package historytest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// memoryFiles is a folder whose files are in memory, where the machine has one: a sync costs nothing there, and what is synced
// is not what these tests are about.
const memoryFiles = "/dev/shm"

func TestMain(m *testing.M) {
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
