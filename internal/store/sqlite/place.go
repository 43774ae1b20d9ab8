package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

// Check returns why OpenOrCreate would refuse the data directory, and changes nothing. otp.ErrNoStore means that OpenOrCreate would make
// the store, otp.ErrOldSchema that it would migrate it; nil means that Open opened it, and that it takes writes.
func Check(ctx context.Context, dir string) error { return check(ctx, dir, builtIn()) }

func check(ctx context.Context, dir string, m migrations) error {
	path, err := findDatabase(dir)
	var store *Store
	if err == nil {
		store, err = openStore(ctx, path, Options{Dir: dir, Inspect: true}, m)
	}
	switch {
	case errors.Is(err, otp.ErrNoStore):
		return cmp.Or(checkPlace(filepath.Dir(path)), err)
	case errors.Is(err, otp.ErrOldSchema):
		return cmp.Or(checkMigration(ctx, path), err)
	case err != nil:
		return err
	}
	return errors.Join(store.Writable(ctx), store.refuseUnnoticedChanges(ctx), store.Close())
}

// checkMigration returns why an older store could not be migrated: it is verified before, and copied to a file next to it.
func checkMigration(ctx context.Context, path string) error {
	if _, err := verify(ctx, path, verifyTimeout); err != nil {
		return err
	}
	return cmp.Or(checkMayWrite(filepath.Dir(path)), checkRoomToMigrate(path))
}

// checkPlace returns why no store could be made in a directory that has none, and that checkDirectory accepts.
func checkPlace(dir string) error {
	if !isThere(dir) {
		return checkParent(dir)
	}
	if err := checkContents(dir); err != nil {
		return err
	}
	return cmp.Or(checkMayWrite(dir), checkRoomToMake(dir))
}

// checkParent returns why a data directory that is missing could not be made.
func checkParent(dir string) error {
	parent := filepath.Dir(dir)
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the data directory cannot be made, %s is not there: make it, or correct PIMSD_DATA_DIR", parent)
	case err != nil:
		return fmt.Errorf("look for the data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: correct PIMSD_DATA_DIR", parent)
	}
	if err := checkFileSystem(parent); err != nil {
		return err
	}
	return cmp.Or(checkMayWrite(parent), checkRoomToMake(parent))
}

// checkRoomToMake refuses a directory on a disk that has no room for a new store.
func checkRoomToMake(dir string) error {
	const room = 448 << 10 // 128 KiB of database, 256 of log, 64 of others
	return checkRoom(dir, "a new store", room)
}

// checkRoomToMigrate refuses a store on a disk that has no room for its backup, and for what the migration writes.
func checkRoomToMigrate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return checkRoom(filepath.Dir(path), "the migration of the store, with its backup,", 2*info.Size())
}

// checkMayWrite refuses a directory in which this user may make no files.
func checkMayWrite(dir string) error {
	if err := input.MayMakeIn(dir); err != nil {
		return fmt.Errorf("this user may not write to %s (%w): let the user that runs pimsd own it, or correct PIMSD_DATA_DIR", dir, err)
	}
	return nil
}
