package historytest

import (
	"testing"

	"golang.org/x/sys/unix"
)

const unlimited = unix.RLIM_INFINITY

// limitFiles lets no file of this process grow beyond that size. Of all that a test does at the same time, only SQLite writes
// files of that size.
func limitFiles(t testing.TB, size uint64) {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	limit.Cur = min(size, limit.Max)
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
}
