//go:build unix

package sqlite

import (
	"os"
	"syscall"
	"testing"
)

// ownerOf returns the user and the group that a file belongs to.
func ownerOf(t *testing.T, info os.FileInfo) [2]uint32 {
	t.Helper()
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Skip("files have no owners")
	}
	return [2]uint32{of.Uid, of.Gid}
}
