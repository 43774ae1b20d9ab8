package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// process is the one that is watched; it reads what the arguments of its system calls mean.
type process struct {
	pid    int
	root   string
	memory io.ReaderAt
}

// watchedCalls are the numbers of the system calls that call understands.
func watchedCalls() []int {
	return append(olderCalls(),
		unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
		unix.SYS_OPENAT, unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT)
}

const stdout = 1

// call tells what a system call is about to do. It is nothing to us, and gives false, unless it changes what is below
// the root, or says something on standard output.
func (p *process) call(number int, a [6]uint64) (c Call, ours bool, err error) {
	number, a = modern(number, a)
	switch number {
	case unix.SYS_WRITE:
		if a[0] == stdout {
			c.Op = Report
			c.Data, err = p.bytes(a[1], a[2])
			return c, true, err
		}
		return p.write(a[0], a[1], a[2], func() (int64, error) { return p.position(a[0]) })
	case unix.SYS_PWRITE64:
		return p.write(a[0], a[1], a[2], func() (int64, error) { return int64(a[3]), nil })
	case unix.SYS_FTRUNCATE:
		return p.onFile(Call{Op: Truncate, At: int64(a[1])}, a[0])
	case unix.SYS_FALLOCATE: // of a file that was shorter
		return p.onFile(Call{Op: Truncate, At: int64(a[2] + a[3])}, a[0])
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return p.onFile(Call{Op: Sync}, a[0])
	case unix.SYS_OPENAT:
		return p.open(a[1], a[2])
	case unix.SYS_MKDIRAT:
		return p.onName(Call{Op: MakeDir}, a[1])
	case unix.SYS_UNLINKAT:
		return p.onFound(Call{Op: Remove}, a[1])
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT:
		c.Op = Rename
		if number == unix.SYS_LINKAT {
			c.Op = Link
		}
		if c.To, err = p.text(a[3]); err != nil {
			return c, false, err
		}
		return p.onFound(c, a[1])
	}
	return c, false, fmt.Errorf("system call %d is watched, and not understood", number)
}

func (p *process) write(fd, from, length uint64, at func() (int64, error)) (c Call, ours bool, err error) {
	if c, ours, err = p.onFile(Call{Op: Write}, fd); err != nil || !ours {
		return c, ours, err
	}
	if c.At, err = at(); err != nil {
		return c, false, err
	}
	c.Data, err = p.bytes(from, length)
	return c, err == nil, err
}

// open is a Create, or a Truncate, or nothing to us.
func (p *process) open(name, flags uint64) (c Call, ours bool, err error) {
	c, ours, err = p.onName(Call{Op: Create}, name)
	switch {
	case err != nil || !ours:
		return c, ours, err
	case !isThere(c.Path):
		return c, flags&unix.O_CREAT != 0, nil
	}
	c.Op = Truncate
	return c, flags&unix.O_TRUNC != 0, nil
}

// isThere reports whether something has the name.
func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (p *process) onFile(c Call, fd uint64) (Call, bool, error) {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.pid, fd))
	if errors.Is(err, fs.ErrNotExist) { // not open: the kernel will say so
		return c, false, nil
	}
	c.Path = path
	return c, p.isOurs(path), err
}

func (p *process) onName(c Call, address uint64) (Call, bool, error) {
	path, err := p.text(address)
	c.Path = path
	return c, p.isOurs(path), err
}

// onFound is onName for calls that do nothing unless there is something of that name.
func (p *process) onFound(c Call, address uint64) (Call, bool, error) {
	c, ours, err := p.onName(c, address)
	return c, ours && isThere(c.Path), err
}

func (p *process) isOurs(path string) bool {
	return path == p.root || strings.HasPrefix(path, p.root+string(filepath.Separator))
}

// position is where a write without an offset goes.
func (p *process) position(fd uint64) (at int64, err error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", p.pid, fd))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(string(info), "pos:\t%d", &at)
	return at, err
}

func (p *process) bytes(address, length uint64) ([]byte, error) {
	data := make([]byte, length)
	_, err := p.memory.ReadAt(data, int64(address))
	return data, err
}

// text reads a name, which ends with a zero byte.
func (p *process) text(address uint64) (string, error) {
	name := make([]byte, unix.PathMax)
	n, err := p.memory.ReadAt(name, int64(address)) // the memory may end earlier
	end := bytes.IndexByte(name[:n], 0)
	if end < 0 {
		return "", fmt.Errorf("read a file's name: %w", err)
	}
	return string(name[:end]), nil
}
