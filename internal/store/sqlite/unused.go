package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	lib "modernc.org/sqlite/lib"
)

// CheckUnused fails when anybody has the store of the data directory open, of this process or another.
func CheckUnused(ctx context.Context, dir string) error {
	path, err := findDatabase(dir)
	if err == nil {
		err = checkPairing(ctx, path)
	}
	if err != nil {
		return err
	}
	err = withConnection(ctx, path, exclusively(standardPragmas()), func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE; ROLLBACK")
		return err
	})
	if code, ok := resultCode(err); ok && code == lib.SQLITE_BUSY {
		return fmt.Errorf("%s is open elsewhere: stop the service, and wait for commands that still run: %w", path, err)
	}
	return err
}
