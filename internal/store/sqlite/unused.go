package sqlite

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
)

// CheckUnused fails when this or another process has the store of the data directory open.
func CheckUnused(ctx context.Context, dir string) error {
	path, err := findDatabase(dir)
	if err != nil {
		return err
	}
	err = withConn(ctx, path, exclusively(standardPragmas()), func(c *conn) error { return c.script("BEGIN IMMEDIATE; ROLLBACK") })
	if primaryCode(err) == sqlite.ResultBusy {
		return fmt.Errorf("%s is open elsewhere: stop the service, and wait for commands that still run: %w", path, err)
	}
	return err
}
