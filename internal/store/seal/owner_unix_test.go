//go:build unix

package seal_test

import (
	"os"
	"syscall"
	"testing"
)

// A key file that root changes goes on to belong to its user and its group.
func TestKeyFileKeepsItsOwner(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can change the owner of a file")
	}
	const other = 65534
	for name, owner := range map[string][2]int{"user": {other, 0}, "group": {0, other}, "both": {other, other}, "none": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newFile(t)
			must(t, os.Chown(path, owner[0], owner[1]))
			turn(t, openFile(t, path, false))
			info, err := os.Stat(path)
			must(t, err)
			if is := info.Sys().(*syscall.Stat_t); int(is.Uid) != owner[0] || int(is.Gid) != owner[1] {
				t.Errorf("the file belongs to %d:%d, want %v", is.Uid, is.Gid, owner)
			}
		})
	}
}
