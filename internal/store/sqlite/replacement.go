package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
)

var (
	// ErrInUse means that a process has the store open that is to be replaced.
	ErrInUse = errors.New("the store is open elsewhere: stop the service, or put it into maintenance (PIMSD_MAINTENANCE=yes), " +
		"and wait for commands that still run")
	// ErrUnreadable means that the store that is replaced cannot be read, and so what it has counted is not known.
	ErrUnreadable = errors.New("the store that is replaced cannot be read")
)

// replacementSuffix ends the name of a database that is to take the place of another one.
const replacementSuffix = ".restoring"

// Replacement is a database, made of a backup, that is to take the place of the one in a data directory. As long as it is open no
// other process uses the store. Until Install it is a file of its own, which Close removes.
type Replacement struct {
	migrations

	path   string // of the database that is replaced
	temp   string
	backup string
	conn   *conn     // of the replaced database, exclusively, or of an empty one; the new one is attached to it
	raw    io.Closer // locks a replaced database that SQLite cannot open; nil when conn does
	// unreadable is nil when the replaced database can be read, and has the same store as the backup. It wraps ErrUnreadable otherwise.
	unreadable error
}

// Replace makes a Replacement for the store in the data directory, of the backup at a path. The backup is not changed. The directory
// may have no store. ErrInUse means that a process has the store open.
func Replace(ctx context.Context, dir, backup string) (*Replacement, error) {
	path, err := databasePath(dir)
	if err == nil {
		backup, err = filepath.Abs(backup)
	}
	if err != nil {
		return nil, err
	}
	r := &Replacement{migrations: builtIn(), path: path, temp: path + replacementSuffix, backup: backup}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Replacement) open(ctx context.Context) error {
	if err := r.checkBackup(ctx); err != nil {
		return err
	}
	if err := r.lock(ctx); err != nil {
		return err
	}
	if err := r.build(ctx); err != nil {
		return err
	}
	if r.unreadable == nil {
		r.unreadable = r.compareStores()
	}
	return nil
}

// checkBackup checks the backup before anything is done. A backup with a log next to it is a copy of a whole data directory.
func (r *Replacement) checkBackup(ctx context.Context) error {
	info, err := os.Stat(r.backup)
	if err != nil {
		return fmt.Errorf("find the backup: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file: name one that `pimsd store backup` wrote", r.backup)
	}
	if at, err := os.Stat(r.path); err == nil && os.SameFile(at, info) {
		return fmt.Errorf("%s is the store itself: name a backup of it", r.backup)
	}
	if err := checkPairing(r.backup); err != nil {
		return err
	}
	if _, err := r.checkCopy(ctx, r.backup, r.howToRead()); err != nil {
		return err
	}
	return nil
}

func (r *Replacement) howToRead() string {
	if hasLog(r.backup) {
		return withLog
	}
	return asWritten
}

// lock finds the database that is replaced, and locks it.
func (r *Replacement) lock(ctx context.Context) error {
	dir := filepath.Dir(r.path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := errors.Join(checkFileSystem(dir), dropSecondNames(r.path)); err != nil {
		return err
	}
	info, err := os.Lstat(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.unreadable = fmt.Errorf("%w: there is none", ErrUnreadable)
		return r.useNone()
	case err != nil:
		return fmt.Errorf("look for the store: %w", err)
	}
	if err := checkFile(r.path, info); err != nil {
		return err
	}
	if info.Size() == 0 { // SQLite would remove the log
		return r.fallBack(errors.New("it is empty"))
	}
	if err := checkInterrupted(r.path); err != nil { // whatever it looks like, its log may be another one's
		return r.fallBack(err)
	}
	err = checkPairing(r.path)
	if err == nil {
		err = r.lockExclusively(ctx)
	}
	switch {
	case err == nil:
		return nil
	case primaryCode(err) == sqlite.ResultBusy:
		return fmt.Errorf("%w: %w", ErrInUse, err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return r.fallBack(err)
}

// lockExclusively opens the replaced database, so that no other connection can.
func (r *Replacement) lockExclusively(ctx context.Context) error {
	var err error
	if r.conn, err = openConn(ctx, r.path, exclusively(standardPragmas())); err != nil {
		return err
	}
	if err := r.conn.script("BEGIN IMMEDIATE; ROLLBACK"); err != nil {
		return err
	}
	switch version, err := r.version(r.conn, r.path); {
	case isDamage(err):
		return err
	case err != nil:
		r.unreadable = fmt.Errorf("%w: %w", ErrUnreadable, err)
	case version != len(r.migrations):
		r.unreadable = fmt.Errorf("%w: its schema has version %d, and this pimsd reads %d", ErrUnreadable, version, len(r.migrations))
	}
	return nil
}

// fallBack locks the replaced database by other means than SQLite, which cannot use it.
func (r *Replacement) fallBack(cause error) error {
	r.unreadable = fmt.Errorf("%w: %w", ErrUnreadable, cause)
	if err := r.disconnect(); err != nil {
		return err
	}
	var err error
	if r.raw, err = lockRaw(r.path); err != nil {
		return fmt.Errorf("lock %s: %w", r.path, err)
	}
	return r.useNone()
}

// useNone connects to an empty database instead of the replaced one.
func (r *Replacement) useNone() (err error) {
	r.conn, err = openMemory()
	return err
}

// disconnect closes the connection, and with it SQLite's lock.
func (r *Replacement) disconnect() (err error) {
	if r.conn != nil {
		err = r.conn.Close()
	}
	r.conn = nil
	return err
}

// build makes the new database of the backup, migrates it, and attaches it. What a killed process has left under its name goes.
func (r *Replacement) build(ctx context.Context) error {
	if err := r.removeTemp(); err != nil {
		return err
	}
	info, err := os.Stat(r.backup)
	if err != nil {
		return err
	}
	if err := checkRoom(filepath.Dir(r.path), "a copy of the store", info.Size()+largestReserve); err != nil {
		return err
	}
	if err := r.copyBackup(ctx); err != nil {
		return fmt.Errorf("copy the backup into the data directory: %w", err)
	}
	pragmas := []pragma{{"journal_mode", "MEMORY", "memory"}, {"temp_store", "MEMORY", "2"}, {"synchronous", "OFF", "0"}}
	err = withConn(ctx, r.temp, pragmas, func(c *conn) error { return r.migrate(ctx, c, r.temp) })
	if err != nil {
		return err
	}
	// Nothing of it needs to be durable before Install, which syncs it.
	if _, err := r.conn.exec("ATTACH ? AS new", r.temp); err != nil {
		return err
	}
	return r.conn.script("PRAGMA new.journal_mode = MEMORY; PRAGMA new.synchronous = OFF")
}

func (r *Replacement) copyBackup(ctx context.Context) error {
	c, err := openReadOnly(r.backup, r.howToRead())
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it was only read
	file, err := c.copyTo(ctx, r.temp)
	if err != nil {
		return err
	}
	return file.Close()
}

// compareStores returns ErrUnreadable when the replaced database is not the store that the backup was made of.
func (r *Replacement) compareStores() error {
	same, _, err := one(r.conn, (*row).flag, "SELECT (SELECT id FROM main.store) = (SELECT id FROM new.store)")
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	case !same:
		return fmt.Errorf("%w: it is another store than the one that the backup was made of", ErrUnreadable)
	}
	return nil
}

// Unreadable returns why what the replaced store has counted is not known. It is nil when it is known, and wraps ErrUnreadable
// otherwise.
func (r *Replacement) Unreadable() error { return r.unreadable }

// Forget begins again with the backup, without the replaced store, which turned out not to be readable.
func (r *Replacement) Forget(ctx context.Context, cause error) error {
	r.unreadable = fmt.Errorf("%w: %w", ErrUnreadable, cause)
	if _, err := r.conn.exec("DETACH new"); err != nil {
		return err
	}
	return r.build(ctx)
}

func (r *Replacement) removeTemp() error {
	return errors.Join(removePartial(r.temp), removePartial(r.temp+"-journal"), removePartial(r.temp+"-wal"), removePartial(r.temp+"-shm"))
}

// Close removes the new database, unless it is installed, and lets other processes use the store again.
func (r *Replacement) Close() error {
	err := r.disconnect()
	if r.temp != "" {
		err = errors.Join(err, r.removeTemp())
	}
	if r.raw != nil {
		err = errors.Join(err, r.raw.Close())
		r.raw = nil
	}
	return err
}
