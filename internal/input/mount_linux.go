package input

import (
	"os"

	"golang.org/x/sys/unix"
)

// isSecretMount reports whether the open file is on a file system in memory or on a read-only mount.
func isSecretMount(file *os.File) bool {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &stat); err != nil {
		return false
	}
	kind := uint32(stat.Type) // its type differs between architectures
	return kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC || stat.Flags&unix.ST_RDONLY != 0
}
