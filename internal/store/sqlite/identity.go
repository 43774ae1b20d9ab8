package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// identity is which files a store has open. A database that is moved away, deleted or replaced while it is open would
// take writes that cannot be found again. It is for one goroutine at a time.
type identity struct {
	directory openFile
	files     []openFile
	// unchanged is the directory's time of change when the files were last looked at; zero when a later change could bear
	// the same time, or the time is not known.
	unchanged time.Time
}

type openFile struct {
	path string
	info os.FileInfo
}

// coarse is more than the times of files are apart that are not alike, on every file system.
const coarse = 2 * time.Second

func identify(path string) (*identity, error) {
	i := &identity{}
	var err error
	if i.directory, err = openedAt(filepath.Dir(path)); err != nil {
		return nil, err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		file, err := openedAt(path + suffix)
		if err != nil {
			return nil, err
		}
		i.files = append(i.files, file)
	}
	return i, nil
}

func openedAt(path string) (openFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return openFile{}, fmt.Errorf("look at the files of the store: %w", err)
	}
	return openFile{path, info}, nil
}

// check finds out whether the files are still where they were. A directory that nothing was moved into or out of since the
// last time has the same files in it; looking at it alone spares every transaction two calls of the system.
func (i *identity) check() error {
	info, err := i.directory.again()
	if err == nil && !i.unchanged.IsZero() && changedAt(info).Equal(i.unchanged) {
		return nil
	}
	for _, file := range i.files {
		if _, err := file.again(); err != nil {
			return err
		}
	}
	i.unchanged = time.Time{}
	if err == nil && time.Since(changedAt(info)) > coarse {
		i.unchanged = changedAt(info)
	}
	return nil
}

// again looks at the file, which must be the one that it was.
func (f openFile) again() (os.FileInfo, error) {
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("a file of the store is out of reach while it is open: %w", err)
	case !os.SameFile(info, f.info):
		return nil, fmt.Errorf("%s was replaced while it was open: stop the service before files of the store are touched", f.path)
	}
	return info, nil
}
