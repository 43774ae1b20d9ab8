package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrationLock is the advisory lock that one replica has while it migrates: "pims".
const migrationLock = 0x70696d73

// migrations are scripts in order: the script at index n brings a schema of version n to n+1.
type migrations []string

// builtIn returns the migrations of this version, from files that are named 0001_*.sql and so on.
func builtIn() migrations {
	names, _ := fs.Glob(embedded, "migrations/*.sql") // the only error is a bad pattern
	slices.Sort(names)
	var m migrations
	for _, name := range names {
		script, _ := embedded.ReadFile(name) // it has just been found, and is part of the program
		m = append(m, string(script))
	}
	return m
}

// check says in a sentence why a database cannot be used as it is.
func (m migrations) check(ctx context.Context, conn *pgx.Conn) error {
	version, err := m.version(ctx, conn)
	switch {
	case err != nil:
		return err
	case version == 0:
		return fmt.Errorf("%w in this database: start the service, which makes it", otp.ErrNoStore)
	case version < len(m):
		return fmt.Errorf("the database has %w: version %d, and this pimsd needs %d: start the service of this version, which migrates it",
			otp.ErrOldSchema, version, len(m))
	}
	return nil
}

// version reads the version of the schema; 0 says that there is none. It refuses those of a later version.
func (m migrations) version(ctx context.Context, conn *pgx.Conn) (version int, err error) {
	var there bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('pimsd_schema') IS NOT NULL`).Scan(&there); err != nil || !there {
		return 0, err
	}
	if err := conn.QueryRow(ctx, `SELECT version FROM pimsd_schema`).Scan(&version); err != nil {
		return 0, err
	}
	if version > len(m) {
		return 0, fmt.Errorf("the schema has version %d and was written by a later pimsd, this one knows %d: use that later version, "+
			"or restore a backup of the time before", version, len(m))
	}
	return version, nil
}

// migrationPause is before the next try of a migration that another session has made wait for a lock.
const migrationPause = 2 * time.Second

// waitBriefly bounds a migration's wait for the lock of a table. A session that reads a table for long, such as pg_dump, makes the
// migration wait, and the calls of all replicas wait behind it: so for less than their own lock_timeout.
const waitBriefly = `SET LOCAL lock_timeout = '1s'`

// bringUpToDate runs the scripts that are missing, in one transaction, while no other replica does, and sees to it that
// the ids of the audit log go on above those that are there. Where another session has locked a table, it tries again until ctx ends.
func (m migrations) bringUpToDate(ctx context.Context, conn *pgx.Conn) error {
	for {
		err := m.tryToBringUpToDate(ctx, conn)
		if !hasCode(err, lockNotAvailable) || !pause(ctx, migrationPause) {
			return err
		}
	}
}

func (m migrations) tryToBringUpToDate(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := m.migrate(ctx, tx); err != nil {
			return err
		}
		if err := checkRights(ctx, tx); err != nil {
			return err
		}
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return raiseAuditIDs(ctx, tx) })
		if isDamage(err) { // what else there is can be read
			return nil
		}
		return err
	})
}

// migrate runs the scripts that are missing, once no other replica does.
func (m migrations) migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = 0`); err != nil { // ctx ends the wait for another replica
		return err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
		return err
	}
	from, err := m.version(ctx, tx.Conn())
	if err != nil {
		return err
	}
	if from < len(m) {
		if _, err := tx.Exec(ctx, waitBriefly); err != nil {
			return err
		}
	}
	if from == 0 {
		const start = `CREATE TABLE pimsd_schema (version integer NOT NULL); INSERT INTO pimsd_schema VALUES (0)`
		if _, err := tx.Exec(ctx, start); err != nil {
			return err
		}
	}
	for _, script := range m[from:] {
		if _, err := tx.Exec(ctx, script); err != nil {
			return fmt.Errorf("migrate the schema from version %d to %d, nothing of it was done: %w", from, len(m), err)
		}
	}
	_, err = tx.Exec(ctx, `UPDATE pimsd_schema SET version = $1 WHERE version <> $1`, len(m))
	return err
}
