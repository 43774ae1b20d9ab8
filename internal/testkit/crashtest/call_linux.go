package crashtest

import (
	"errors"
	"os"
)

// Op is what a system call does.
type Op string

// What system calls do to files and folders, and to standard output.
const (
	Create   Op = "create" // a file that is not there yet
	MakeDir  Op = "mkdir"
	Write    Op = "write"
	Truncate Op = "truncate"
	Sync     Op = "sync" // a file, or the names in a folder
	Rename   Op = "rename"
	Link     Op = "link" // a second name
	Remove   Op = "remove"
	Report   Op = "report" // a write to standard output: the process tells something to the world
)

// Call is a system call that is about to happen.
type Call struct {
	Op   Op
	Path string // absolute; empty for a Report
	To   string // the new name of a Rename or a Link
	At   int64  // where a Write begins, or the size that Truncate leaves; bytes
	Data []byte // of a Write or a Report
}

// Half is a write that is interrupted in its middle. Other calls are done or not.
func (c Call) Half() Call {
	c.Data = c.Data[:len(c.Data)/2]
	return c
}

// perform does what the call would have done, as far as it outlives the process.
func (c Call) perform() error {
	switch c.Op {
	case Create:
		file, err := os.OpenFile(c.Path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return file.Close()
	case Write:
		file, err := os.OpenFile(c.Path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = file.WriteAt(c.Data, c.At)
		return errors.Join(err, file.Close())
	case MakeDir:
		return os.Mkdir(c.Path, 0o700)
	case Truncate:
		return os.Truncate(c.Path, c.At)
	case Rename:
		return os.Rename(c.Path, c.To)
	case Link:
		return os.Link(c.Path, c.To)
	case Remove:
		return os.Remove(c.Path)
	default: // a Sync: what a process wrote outlives it, synced or not
		return nil
	}
}
