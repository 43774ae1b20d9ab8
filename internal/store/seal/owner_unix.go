//go:build unix

package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockTimeout bounds the wait for another process that changes a key file, which takes a few syncs: one that was stopped, or
// another program that has locked the directory, must not keep a command waiting without end.
const lockTimeout = 10 * time.Second

// whileLocked runs do while no other goroutine or process does so with the same directory. What the previous one has left there
// is durable by then, even if that one was killed: the kernel took its lock back, and the sync is made up for.
func whileLocked(dir string, do func() error) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("lock the directory of the key file: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if err := lock(file); err != nil {
		return fmt.Errorf("lock the directory %s of the key file: %w", dir, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync the directory %s of the key file: %w", dir, err)
	}
	return do()
}

// lock locks the file, for lockTimeout at most.
func lock(file *os.File) error {
	const pause = 20 * time.Millisecond
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(pause) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK) && time.Now().After(deadline):
			return fmt.Errorf("another process has had the lock for %v: end it, or let it go on (`lslocks` shows it)", lockTimeout)
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		}
	}
}

// keepOwner returns the file to the user and group that the old one belongs to.
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
