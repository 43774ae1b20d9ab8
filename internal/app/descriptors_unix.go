//go:build unix

package app

import (
	"fmt"
	"syscall"
)

// openFileLimit is how many files this process may have open. The soft limit is the hard one: package os raises it at the start of
// every Go program.
func openFileLimit() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("find out how many files may be open: %w", err)
	}
	return limit.Cur, nil
}
