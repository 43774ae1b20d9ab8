package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pimsd/pimsd/internal/otp"
)

func databasePath(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return "", fmt.Errorf("find the data directory %s: %w", dir, err)
	}
	return path, nil
}

// findDatabase returns the absolute path of the database in dir. It must be there, under one name, on a file system that can carry it, and
// with no log but its own. otp.ErrNoStore comes with the path.
func findDatabase(dir string) (string, error) {
	path, err := databasePath(dir)
	if err != nil {
		return "", err
	}
	if err := checkDirectory(filepath.Dir(path)); err != nil {
		return "", err
	}
	trace := traceOfStore(path) // before the size is read: another process may make the store now
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 && trace != "" {
		return "", fmt.Errorf("%s is empty, though %s shows that there was a store: nothing was changed. Put the database back, or restore "+
			"a backup with `pimsd store restore FILE`; for a new store, empty the directory", path, trace)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return path, fmt.Errorf("%w in %s, it has no %s: the service makes one when it starts in an empty directory, "+
			"commands only use it; is PIMSD_DATA_DIR the service's?", otp.ErrNoStore, filepath.Dir(path), FileName)
	}
	if err != nil {
		return "", fmt.Errorf("look for the store: %w", err)
	}
	if err := checkFile(path, info); err != nil {
		return "", err
	}
	return path, cmp.Or(errors.Join(checkInterrupted(path), checkFileSystem(filepath.Dir(path))), checkPairing(path))
}

// checkDirectory refuses a data directory that is something else, or that cannot be reached. It need not be there.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("the data directory %s is a file, not a directory: correct PIMSD_DATA_DIR", dir)
	case errors.Is(err, fs.ErrNotExist):
		if target, err := os.Readlink(dir); err == nil {
			return fmt.Errorf("the data directory %s is a symbolic link, to %s, which is not there: make that directory, or correct "+
				"PIMSD_DATA_DIR", dir, target)
		}
		return nil
	default:
		return fmt.Errorf("the data directory cannot be reached: correct PIMSD_DATA_DIR, or give this user access to it: %w", err)
	}
}

// traceOfStore returns the name of a file that is next to the database only after a store was made there; empty when there is
// none. SQLite takes an empty file for a new database, and removes its log: a restore that failed, for want of room perhaps,
// would become a store without accounts.
func traceOfStore(path string) string {
	if hasLog(path) {
		return path + "-wal"
	}
	reserve := filepath.Join(filepath.Dir(path), ReserveName)
	if _, err := os.Lstat(reserve); err == nil {
		return reserve
	}
	return ""
}

// checkFile refuses a database that has more than one name, or another place than the data directory: its log would be
// somewhere else for whatever opens it by the other name, or would not survive a container.
func checkFile(path string, info fs.FileInfo) error {
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		target, _ := os.Readlink(path)
		return fmt.Errorf("%s is a symbolic link, to %s: SQLite keeps its log next to that file. Name the directory of that file in "+
			"PIMSD_DATA_DIR; the data directory itself may be a symbolic link", path, target)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file: remove it, or name another directory in PIMSD_DATA_DIR", path)
	case links(info) > 1+uint64(len(secondNames(path, info))):
		return fmt.Errorf("%s has another name, a hard link: a log that is kept under the one name is missing under the other. "+
			"Remove the other name (find it with `find / -xdev -samefile %[1]s`), or put a copy in its place while no process has it open", path)
	case isMountPoint(path):
		return fmt.Errorf("%s is mounted by itself: its log would be written to another place, and lost. Mount its directory instead, "+
			"and name that in PIMSD_DATA_DIR", path)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if info, err := os.Lstat(path + suffix); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s%s is no regular file, though SQLite keeps a log there: put the file itself there while no process uses the store",
				path, suffix)
		}
	}
	return nil
}

// findOrMakeDatabase does the same, and makes directory and file when there is nothing yet.
func findOrMakeDatabase(dir string) (string, error) {
	path, err := findDatabase(dir)
	switch {
	case err == nil:
		return path, dropSecondNames(path)
	case !errors.Is(err, otp.ErrNoStore):
		return "", err
	}
	if err := checkPlace(filepath.Dir(path)); err != nil {
		return "", err
	}
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return "", err
	}
	return path, makeFile(path)
}

// makeDirectory makes the data directory durably, unless it is there.
func makeDirectory(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("make the data directory: %w", err)
	}
	return syncDirectory(filepath.Dir(dir))
}

// checkContents refuses a directory in which no store may be made: one that is not empty, or on a file system that cannot carry it.
func checkContents(dir string) error {
	if err := checkFileSystem(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	foreign := ""
	for _, entry := range entries {
		switch name := entry.Name(); name {
		case FileName: // by now: another process starts at the same time
			return nil
		case "lost+found", "seal.keys": // keys may be given before there is anything to seal
		default:
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("%s has no %s, and is not empty either (there is %q): a new store is made in an empty directory only; "+
			"put the database back, or name another directory in PIMSD_DATA_DIR", dir, FileName, foreign)
	}
	return nil
}

// makeFile makes an empty database that only its owner can read, as SQLite's own files next to it will be, too. The file
// is opened once outside of SQLite, which is safe as long as it does not exist before: no process holds locks on it.
func makeFile(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes durable which files are in dir.
func syncDirectory(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open a directory to sync it: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("sync the directory %s: %w", dir, err)
	}
	return nil
}
