//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// lockAlone locks the file until it is closed, unless another process has it locked.
func lockAlone(file *os.File) error {
	for {
		switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errPartialBusy
		default:
			return err
		}
	}
}

// ownAs returns the file to the user and group of what is at path: a command may run as another user than the service.
func ownAs(file *os.File, path string) error {
	like, err := os.Stat(path)
	if err != nil {
		return err
	}
	was, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && is.Uid == was.Uid && is.Gid == was.Gid {
		return nil
	}
	if err := file.Chown(int(was.Uid), int(was.Gid)); err != nil {
		return fmt.Errorf("%s cannot be given to the owner of %s, run this as user %d: %w", file.Name(), path, was.Uid, err)
	}
	return nil
}

// SQLite's locks of a database are on these bytes: every connection has a lock of some of them.
const (
	firstLockByte = 0x40000000
	lockBytes     = 512
)

// lockRaw locks a database that SQLite cannot open, as a connection that writes does. ErrInUse means that a connection has it open.
func lockRaw(path string) (io.Closer, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: firstLockByte, Len: lockBytes}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
