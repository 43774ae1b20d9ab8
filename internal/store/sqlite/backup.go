package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// backUp writes a copy of the database beside it, named by its version and the time, and durable when it returns nil.
// A copy that is not whole never has that name.
func backUp(ctx context.Context, conn *sql.Conn, path string, version int) (name string, err error) {
	name = fmt.Sprintf("%s.backup-v%d-%s", path, version, now().Format("20060102T150405Z"))
	partial := name + ".partial"
	if err := writeCopy(ctx, conn, partial); err != nil {
		_ = os.Remove(partial) // what is left of it is told from a backup by its name
		return "", err
	}
	if err := os.Rename(partial, name); err != nil {
		return "", err
	}
	return name, syncDirectory(filepath.Dir(path))
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
