package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pimsd/pimsd/internal/input"
)

// Check returns why OpenOrCreate would refuse the data directory, and changes nothing. ErrNoStore means that OpenOrCreate would make the
// store; nil means that Open opened it, and that it takes writes.
func Check(ctx context.Context, dir string) error {
	store, err := Open(ctx, Options{Dir: dir, Inspect: true})
	if errors.Is(err, ErrNoStore) {
		if refused := checkPlace(dir); refused != nil {
			return refused
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(store.Writable(ctx), store.Close())
}

// checkPlace returns why no store could be made in a directory that has none.
func checkPlace(dir string) error {
	path, err := databasePath(dir)
	if err != nil {
		return err
	}
	dir = filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkParent(dir)
	case err != nil:
		return fmt.Errorf("look for the data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: remove it, or name another one in PIMSD_DATA_DIR", dir)
	}
	if err := checkContents(dir); err != nil {
		return err
	}
	return checkMayWrite(dir)
}

// checkParent returns why a data directory that is missing could not be made.
func checkParent(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s is a symbolic link to nothing: make its target, or correct PIMSD_DATA_DIR", dir)
	}
	parent := filepath.Dir(dir)
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNoParent(dir)
	case err != nil:
		return fmt.Errorf("look for the data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: correct PIMSD_DATA_DIR", parent)
	}
	if err := checkFileSystem(parent); err != nil {
		return err
	}
	return checkMayWrite(parent)
}

// checkMayWrite refuses a directory in which this user may make no files.
func checkMayWrite(dir string) error {
	if err := input.MayMakeIn(dir); err != nil {
		return fmt.Errorf("this user may not write to %s (%w): let the user that runs pimsd own it, or correct PIMSD_DATA_DIR", dir, err)
	}
	return nil
}
