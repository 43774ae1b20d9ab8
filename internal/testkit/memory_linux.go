package testkit

import (
	"os"
	"syscall"
)

const (
	// shared is where Linux has a file system in memory. In containers it often has 64 MB.
	shared = "/dev/shm"
	// room is what must be free there, in bytes: several clusters of PostgreSQL at a time.
	room = 2 << 30
)

// MemoryDir returns the directory for temporary files in memory. It returns an empty string, for which os.MkdirTemp takes its own
// default, where there is no such directory, or too little room in it, or where TMPDIR names a directory already.
func MemoryDir() string {
	var free syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(shared, &free) != nil || free.Bavail*uint64(free.Bsize) < room {
		return ""
	}
	return shared
}

// UseMemory makes MemoryDir the directory of all temporary files of this process and of those that it starts, testing.TB.TempDir's too.
// Tests sync thousands of times, and none of them cuts the power of the machine that it runs on. TestMain calls it, before flags are
// parsed and tests run.
func UseMemory() {
	if dir := MemoryDir(); dir != "" {
		_ = os.Setenv("TMPDIR", dir) // the only error is a bad name
	}
}
