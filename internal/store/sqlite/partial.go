package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errPartialBusy means that another process makes the same file.
var errPartialBusy = errors.New("another process is writing it")

// openPartial makes an empty file that only its owner can read, or empties one that a killed process has left. It is locked until
// it is closed.
func openPartial(path string) (*os.File, error) {
	for {
		if err := refuseOther(path); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockAlone(file); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
		}
		if isAt(file, path) {
			if err := errors.Join(file.Chmod(0o600), file.Truncate(0)); err != nil {
				return nil, errors.Join(err, file.Close())
			}
			return file, nil
		}
		_ = file.Close() // another process has finished it meanwhile, and it has another name by now
	}
}

// refuseOther refuses a path that leads to a file which has another name: no killed process has left it, and it would be emptied.
func refuseOther(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular() || links(info) > 1:
		return fmt.Errorf("%s is a link, or no regular file, and would be written over: remove it, or choose another place", path)
	}
	return nil
}

// isAt reports whether path is a name of the file.
func isAt(file *os.File, path string) bool {
	info, err := file.Stat()
	at, errAt := os.Lstat(path)
	return err == nil && errAt == nil && os.SameFile(info, at)
}

// NewReceived makes an empty file in the data directory, for a backup that arrives in a stream. The caller must remove and close it.
func NewReceived(dir string) (*os.File, error) {
	if err := checkFileSystem(dir); err != nil {
		return nil, err
	}
	return openPartial(filepath.Join(dir, FileName+".received"+partialSuffix))
}

// partialSuffix ends the name of a file that is not whole.
const partialSuffix = ".partial"

func removePartial(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// publish returns a finished file its name, which no file has yet.
func publish(partial, path string) error {
	switch err := os.Link(partial, path); {
	case err == nil:
		return os.Remove(partial)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s was made by another process: a backup replaces no file", path)
	}
	// The file system knows no second name.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s was made by another process: a backup replaces no file", path), err)
	}
	return os.Rename(partial, path)
}

// LastBackupName is the name of the file in the data directory that has the time of the last backup.
const LastBackupName = "pimsd.last-backup"

// RecordBackup records, durably, that a backup was made at that time.
func (s *Store) RecordBackup(at time.Time) (err error) {
	path := filepath.Join(filepath.Dir(s.writer.path), LastBackupName)
	defer func() {
		if err != nil {
			err = fmt.Errorf("record the time of the backup: %w", err)
		}
	}()
	file, err := openPartial(path + partialSuffix)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is synced
	_, err = file.WriteString(at.UTC().Format(time.RFC3339) + "\n")
	if err = errors.Join(err, ownAs(file, s.writer.path), file.Sync()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// lastBackup returns the time that RecordBackup recorded last in the data directory; it is zero when there is none.
func lastBackup(dir string) time.Time {
	text, err := os.ReadFile(filepath.Join(dir, LastBackupName))
	if err != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil {
		return time.Time{}
	}
	return at
}
