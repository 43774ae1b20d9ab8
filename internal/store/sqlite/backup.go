package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
)

// backupTimeout bounds one backup: while it reads, the write-ahead log is not written over.
const backupTimeout = time.Hour

// Backup writes a copy of the store to a new file at path, which only its owner can read. The copy has everything that was stored
// when Backup began, is checked, and is durable when Backup returns nil. An existing file is never replaced, and an unfinished copy
// never has the name. Writers do not wait for it. It calls report from time to time with how many bytes the copy has by now, and how many
// it has about in the end.
func (s *Store) Backup(ctx context.Context, path string, report func(done, total int64)) error {
	if err := s.health.refusal(); err != nil {
		return err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s exists: a backup replaces no file, name another one", path), err)
	}
	file, err := s.copyTo(ctx, path+partialSuffix, report)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is synced
	if err := publish(file.Name(), path); err != nil {
		return errors.Join(err, removePartial(file.Name()))
	}
	return syncDirectory(filepath.Dir(path))
}

// OpenBackup is Backup into a file without a name, which is gone when it is closed. It returns the file, to be read from its
// beginning. The room that it takes is in the data directory.
func (s *Store) OpenBackup(ctx context.Context, report func(done, total int64)) (*os.File, error) {
	if err := s.health.refusal(); err != nil {
		return nil, err
	}
	file, err := s.copyTo(ctx, s.writer.path+".backup"+partialSuffix, report)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// copyTo makes a checked copy of the store. The file is open, and no other process makes a copy under its name before it is closed.
func (s *Store) copyTo(ctx context.Context, partial string, report func(done, total int64)) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, backupTimeout)
	defer cancel()
	c, err := openReadOnly(s.writer.path, withLog)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // it was only read
	total, _, err := one(c, (*row).integer, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
	if err != nil {
		return nil, s.readError("look how large the store is", err)
	}
	if err := checkRoom(filepath.Dir(partial), "a copy of the store", total+largestReserve); err != nil {
		return nil, err
	}
	stop := reportGrowth(partial, total, report)
	file, err := c.copyTo(ctx, partial)
	stop()
	if err != nil {
		return nil, s.readError("copy the store", err)
	}
	if _, err := builtIn().checkCopy(ctx, partial, asWritten); err != nil {
		return nil, errors.Join(fmt.Errorf("the copy is not good: %w", err), removePartial(partial), file.Close())
	}
	return file, nil
}

// copyTo writes a copy of the database to a new file that only its owner can read, and syncs it, which SQLite leaves to us. The file is
// open, and no other process makes a copy under its name before it is closed.
func (c *conn) copyTo(ctx context.Context, partial string) (*os.File, error) {
	file, err := openPartial(partial)
	if err != nil {
		return nil, err
	}
	end := c.interruptedBy(ctx)
	_, err = c.exec("VACUUM INTO ?", partial) // which writes into a file that is there as long as it is empty
	end()
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, removePartial(partial), file.Close())
	}
	return file, nil
}

// reportGrowth calls report with the size of a file every few seconds, until stop is called.
func reportGrowth(path string, total int64, report func(done, total int64)) (stop func()) {
	const interval = 2 * time.Second
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticks := time.NewTicker(interval)
		defer ticks.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticks.C:
				if info, err := os.Stat(path); err == nil {
					report(info.Size(), total)
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
	}
}

// checkRoom refuses what needs so many bytes in dir, where there are fewer. For a copy they include the room that the service needs.
func checkRoom(dir, what string, bytes int64) error {
	if free, known := freeSpace(dir); known && free < bytes {
		return fmt.Errorf("%s needs about %d KiB of room, and there are %d KiB in %s: make room, or choose another place",
			what, bytes>>10, free>>10, dir)
	}
	return nil
}

// How a copy may be read.
const (
	asWritten = "&immutable=1" // it has no log, and no process changes it
	withLog   = ""
)

// checkCopy looks a copy over, and returns the version of its schema: it must be whole, a store, and not of a later pimsd.
func (m migrations) checkCopy(ctx context.Context, path, how string) (version int, err error) {
	c, err := openReadOnly(path, how)
	if err != nil {
		return 0, err
	}
	defer c.Close() //nolint:errcheck // it was only read
	return m.checkOpenCopy(ctx, c, path)
}

func (m migrations) checkOpenCopy(ctx context.Context, c *conn, path string) (version int, err error) {
	var id int64
	_, _, err = one(c, func(r *row) error {
		id, version = r.integer(), int(r.integer())
		return nil
	}, "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version")
	switch {
	case primaryCode(err) == sqlite.ResultNotADB:
		return 0, fmt.Errorf("%s is not an SQLite database, or encrypted: name a file that `pimsd store backup` wrote: %w", path, err)
	case isDamage(err):
		return 0, fmt.Errorf("%s is damaged: %w", path, err)
	case err != nil:
		return 0, fmt.Errorf("read %s: %w", path, explain(err))
	}
	switch damage, err := quickCheck(ctx, c, ""); {
	case id != applicationID || version < 1:
		return 0, fmt.Errorf("%s is no store of pimsd", path)
	case version > len(m):
		return 0, fmt.Errorf("%s has a schema of version %d and was written by a later pimsd, this one knows %d: use that later version",
			path, version, len(m))
	case err != nil:
		return 0, fmt.Errorf("check %s: %w", path, err)
	case damage != "":
		return 0, fmt.Errorf("%s is damaged: %s", path, damage)
	}
	return version, nil
}

// backUp writes a copy of the database into the same folder, named by its version and the time, and durable when it returns nil.
// A copy that is not whole never has that name, and the next one takes its place: a service that is killed and starts again and again
// must not fill the disk. The caller must have the database exclusively.
func backUp(ctx context.Context, c *conn, path string, version int) (name string, err error) {
	file, err := c.copyTo(ctx, path+".backup"+partialSuffix)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // it is synced
	name = fmt.Sprintf("%s.backup-v%d-%s", path, version, now().Format("20060102T150405Z"))
	if err := os.Rename(file.Name(), name); err != nil {
		return "", err
	}
	return name, syncDirectory(filepath.Dir(path))
}
