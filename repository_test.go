package pimsd_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// No compiled program and no other large file is committed: every clone carries it for good.
func TestCommittedFilesAreSmall(t *testing.T) {
	t.Parallel()
	const largest = 2 << 20 // bytes; the largest that belongs here is the documentation page's script
	list, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not a clone of the repository: %v", err)
	}
	for path := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		file, err := os.Lstat(path)
		if err == nil && file.Size() > largest {
			t.Errorf("%s is committed, and has %d bytes", path, file.Size())
		}
	}
}
