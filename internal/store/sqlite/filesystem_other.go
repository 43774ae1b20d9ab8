//go:build !linux

package sqlite

import (
	"os"
	"time"
)

// checkFileSystem accepts every file system: only Linux identifies it by one number.
func checkFileSystem(string) error { return nil }

// changedAt is not known: each system has its own place for it.
func changedAt(os.FileInfo) time.Time { return time.Time{} }

// freeSpace is not known.
func freeSpace(string) (free int64, known bool) { return 0, false }

// preallocate does nothing: the file is to be written.
func preallocate(*os.File, int64) (done bool, err error) { return false, nil }

// links is not known.
func links(os.FileInfo) uint64 { return 1 }

// isMountPoint is not known.
func isMountPoint(string) bool { return false }
