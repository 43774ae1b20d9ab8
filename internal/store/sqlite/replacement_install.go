package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// asideInfix is in the names of databases that were replaced, between that of the database and the time.
const asideInfix = ".replaced-"

// MarkerName is the name of a file in the data directory that is there while a database and its log are replaced together, which
// takes several steps. As long as it is there, no store is opened.
const MarkerName = "pimsd.restoring"

// errInterrupted means that a restore was killed in the middle.
var errInterrupted = errors.New("a restore was interrupted, and the database and its log may not belong together: run " +
	"`pimsd store restore FILE` again")

// Install puts the new database in the place of the replaced one, which it keeps under another name in the data directory: it
// returns that name, which is empty when there was none. Killed at any moment, it leaves the one or the other, whole. Nothing of it
// is interrupted by a context, because every step is short.
func (r *Replacement) Install(ctx context.Context) (aside string, err error) {
	if err := r.finish(ctx); err != nil {
		return "", err
	}
	if aside, err = r.install(); err != nil {
		return "", err
	}
	// What the directory has recorded is of the replaced store; every device of the new one is in doubt already.
	return aside, errors.Join(removePartial(lastSeenPath(r.path)), r.removeMarker())
}

// removeMarker removes the marker, of this replacement or of one that was interrupted, when database and log belong together.
func (r *Replacement) removeMarker() error {
	dir := filepath.Dir(r.path)
	if err := removePartial(filepath.Join(dir, MarkerName)); err != nil {
		return err
	}
	return syncDirectory(dir)
}

func (r *Replacement) install() (aside string, err error) {
	stamp := now().Format("20060102T150405.000000Z")
	switch {
	case r.raw != nil:
		return r.installRaw(stamp)
	case !isThere(r.path) && !hasLog(r.path) && checkInterrupted(r.path) == nil:
		return "", r.installFirst()
	case !isThere(r.path): // and there is the log of a database that is gone
		return r.installRaw(stamp)
	}
	if err := r.foldLog(); err != nil {
		if err := errors.Join(err, r.fallBack(err)); r.raw == nil {
			return "", err
		}
		return r.installRaw(stamp)
	}
	return r.installOver(stamp)
}

// finish makes the new database durable under its own name, and checks it.
func (r *Replacement) finish(ctx context.Context) error {
	if _, err := r.conn.exec("DETACH new"); err != nil {
		return err
	}
	if _, err := r.checkCopy(ctx, r.temp, asWritten); err != nil {
		return err
	}
	file, err := os.OpenFile(r.temp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	like := r.path
	if !isThere(like) {
		like = filepath.Dir(like)
	}
	return errors.Join(ownAs(file, like), file.Sync(), file.Close(), syncDirectory(filepath.Dir(r.path)))
}

// foldLog writes the log of the replaced database into it, and removes the log: what is left is one file. The lock stays.
func (r *Replacement) foldLog() error {
	mode, _, err := one(r.conn, (*row).text, "PRAGMA main.journal_mode = DELETE")
	if err != nil {
		return err
	}
	if mode != "delete" {
		return fmt.Errorf("the log of %s could not be written back: its journal mode is %s", r.path, mode)
	}
	// Nothing is in them any more, and no process has them open.
	err = errors.Join(removePartial(r.path+"-wal"), removePartial(r.path+"-shm"), removePartial(r.path+"-journal"))
	return errors.Join(err, syncDirectory(filepath.Dir(r.path)))
}

// installOver replaces a database that is one file, by one rename.
func (r *Replacement) installOver(stamp string) (aside string, err error) {
	aside = r.path + asideInfix + stamp
	if err := r.keepAside(r.path, aside); err != nil {
		return "", err
	}
	if err := syncDirectory(filepath.Dir(r.path)); err != nil {
		return "", err
	}
	return aside, r.rename()
}

// keepAside returns a file of the replaced database a second name.
func (r *Replacement) keepAside(path, aside string) error {
	if err := os.Link(path, aside); err != nil {
		return fmt.Errorf("keep the replaced database under another name, which needs a file system with hard links: %w", err)
	}
	return nil
}

// rename puts the new database in its place.
func (r *Replacement) rename() error {
	if err := os.Rename(r.temp, r.path); err != nil {
		return err
	}
	r.temp = ""
	return syncDirectory(filepath.Dir(r.path))
}

// installFirst puts the new database where there is none, unless another process has made one by now.
func (r *Replacement) installFirst() error {
	if err := os.Link(r.temp, r.path); err != nil {
		return fmt.Errorf("put the new database in its place: %w", err)
	}
	return errors.Join(syncDirectory(filepath.Dir(r.path)), removePartial(r.temp), syncDirectory(filepath.Dir(r.path)))
}

// installRaw replaces a database together with its log, which SQLite cannot write back. The marker says so meanwhile.
func (r *Replacement) installRaw(stamp string) (aside string, err error) {
	dir := filepath.Dir(r.path)
	marker := filepath.Join(dir, MarkerName)
	file, err := os.OpenFile(marker, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	if err := errors.Join(file.Sync(), file.Close(), syncDirectory(dir)); err != nil {
		return "", err
	}
	for _, suffix := range []string{"-journal", "-wal", ""} {
		if isThere(r.path + suffix) {
			aside = r.path + asideInfix + stamp + suffix
			if err := r.keepAside(r.path+suffix, aside); err != nil {
				return "", errors.Join(err, os.Remove(marker))
			}
		}
	}
	if err := syncDirectory(dir); err != nil {
		return "", err
	}
	if err := r.rename(); err != nil {
		return "", err
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if err := removePartial(r.path + suffix); err != nil {
			return "", err
		}
	}
	return aside, syncDirectory(dir)
}

// dropSecondNames removes the second name of a database that an interrupted restore has left: it never got to replacing it.
func dropSecondNames(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil //nolint:nilerr // what it is, is found out elsewhere
	}
	for _, name := range secondNames(path, info) {
		if err := errors.Join(os.Remove(name), syncDirectory(filepath.Dir(path))); err != nil {
			return err
		}
	}
	return nil
}

// secondNames returns the other names of a database that a killed restore has left. No process opens it by them.
func secondNames(path string, info fs.FileInfo) (names []string) {
	if links(info) < 2 {
		return nil
	}
	aside, _ := filepath.Glob(path + asideInfix + "*") // the only error is a bad pattern
	for _, name := range append(aside, path+replacementSuffix) {
		if other, err := os.Lstat(name); err == nil && os.SameFile(info, other) {
			names = append(names, name)
		}
	}
	return names
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// checkInterrupted refuses a data directory in which a restore was killed while database and log did not belong together.
func checkInterrupted(path string) error {
	if marker := filepath.Join(filepath.Dir(path), MarkerName); isThere(marker) {
		return fmt.Errorf("%w (%s)", errInterrupted, marker)
	}
	return nil
}
