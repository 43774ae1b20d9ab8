package sqlite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
)

// ReserveName is the name of the file in the data directory that keeps room for settles. It has nothing in it, and may be
// deleted while no process uses the store.
const ReserveName = "pimsd.reserve"

// The reserve takes an eighth of the room that there is, within these bounds. A settle needs 10 KiB or so among others.
const (
	smallestReserve = 256 << 10
	largestReserve  = 8 << 20
	reserveShare    = 8
)

// errNoReserve refuses a lease: a settle after it might find no room.
var errNoReserve = errors.New("there is no room for the reserve that settles need: make room on the disk of the data directory")

// reserve is a file that takes up room, for settles that meet a full disk: an answer of inWebo that cannot be stored costs a device.
// While it is missing, no lease is taken.
type reserve struct {
	path    string
	size    int64
	missing atomic.Bool
	making  sync.Mutex // of the one that makes the file
	file    sync.Mutex // of whether there is one, and missing
}

// openReserve finds the reserve, or makes it if there is room.
func openReserve(dir string) *reserve {
	r := &reserve{path: filepath.Join(dir, ReserveName)}
	if info, err := os.Stat(r.path); err == nil && info.Mode().IsRegular() && info.Size() >= smallestReserve {
		r.size = info.Size()
		return r
	}
	r.size = largestReserve
	if free, known := freeSpace(dir); known {
		r.size = min(max(free/reserveShare, smallestReserve), largestReserve)
	}
	r.missing.Store(true)
	_ = r.restore() // missing says so
	return r
}

// release returns the room away, and reports whether there was any.
func (r *reserve) release() bool {
	r.file.Lock()
	defer r.file.Unlock()
	r.missing.Store(true)
	return os.Remove(r.path) == nil
}

// check finds out whether the reserve is there, all of it: another process may have released it, or made it.
func (r *reserve) check() {
	r.file.Lock()
	defer r.file.Unlock()
	info, err := os.Stat(r.path)
	r.missing.Store(err != nil || info.Size() < r.size)
}

// restore makes the reserve again, unless it is there or being made.
func (r *reserve) restore() error {
	switch {
	case !r.missing.Load():
		return nil
	case !r.making.TryLock():
		return errNoReserve
	}
	defer r.making.Unlock()
	if err := r.make(); err != nil {
		r.release()
		return fmt.Errorf("%w: %w", errNoReserve, err)
	}
	if r.check(); r.missing.Load() {
		return errNoReserve // a settle has needed it already
	}
	return nil
}

func (r *reserve) make() (err error) {
	if free, known := freeSpace(filepath.Dir(r.path)); known && free < r.size {
		return syscall.ENOSPC
	}
	file, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if done, err := preallocate(file, r.size); done || err != nil {
		return err
	}
	return fill(file, r.size)
}

// fill writes what a file system cannot compress, and syncs it.
func fill(file *os.File, size int64) error {
	_, err := io.CopyN(file, rand.Reader, size)
	return errors.Join(err, file.Sync())
}
