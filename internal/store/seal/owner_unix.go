//go:build unix

package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// whileLocked runs do while nobody else does so with the same directory, in this process or another. What the one before
// has left there is durable by then, even if that one was killed: the kernel took the lock back, and the sync is made up
// for. What is done under the lock takes a few syncs, so the wait has no end of its own.
func whileLocked(dir string, do func() error) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("lock the directory of the key file: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	err = syscall.EINTR
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return fmt.Errorf("lock the directory %s of the key file: %w", dir, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync the directory %s of the key file: %w", dir, err)
	}
	return do()
}

// keepOwner gives the file to the user and group that the old one belongs to.
func keepOwner(file *os.File, old fs.FileInfo) error {
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the system does not say whose the key file is")
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && is.Uid == was.Uid && is.Gid == was.Gid {
		return nil
	}
	if err := file.Chown(int(was.Uid), int(was.Gid)); err != nil {
		return fmt.Errorf("the new key file cannot be given to the owner of the old one; run this as user %d: %w", was.Uid, err)
	}
	return nil
}
