package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// backUp writes a copy of the database beside it, named by its version and the time, and durable when it returns nil.
// A copy that is not whole never has that name, and those of processes that died are removed: a service that is killed and
// starts again and again must not fill the disk. The caller must have the database exclusively.
func backUp(ctx context.Context, conn *sql.Conn, path string, version int) (name string, err error) {
	name = fmt.Sprintf("%s%s%d-%s", path, backupSuffix, version, now().Format("20060102T150405Z"))
	partial := name + partialSuffix
	removeAbandoned(path)
	if err := writeCopy(ctx, conn, partial); err != nil {
		_ = os.Remove(partial) // what is left of it is told from a backup by its name
		return "", err
	}
	if err := os.Rename(partial, name); err != nil {
		return "", err
	}
	return name, syncDirectory(filepath.Dir(path))
}

// What follows the name of the database in that of a backup, before its version, and what ends the name of one that is not whole.
const (
	backupSuffix  = ".backup-v"
	partialSuffix = ".partial"
)

// removeAbandoned removes the copies that are not whole. One that cannot be removed is left to the next backup.
func removeAbandoned(path string) {
	dir, prefix := filepath.Dir(path), filepath.Base(path)+backupSuffix
	entries, _ := os.ReadDir(dir) // the backup will say what is wrong with the directory
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, prefix) && strings.HasSuffix(name, partialSuffix) {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

// writeCopy makes a file with a copy of the database in it, and syncs it, which SQLite leaves to us. SQLite writes into
// a file that is there as long as it is empty; made here, only its owner can read it.
func writeCopy(ctx context.Context, conn *sql.Conn, path string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return err
	}
	return file.Sync()
}
