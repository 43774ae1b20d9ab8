package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/pimsd/pimsd/internal/otp"
)

//go:embed migrations/*.sql
var embedded embed.FS

// applicationID is the number in a database's head that says whose it is; the first migration writes it.
const applicationID = 0x70696d73

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

// identify checks the schema and returns the id that the store got when it was made.
func (m migrations) identify(c *conn, path string) (id string, err error) {
	if err := m.check(c, path); err != nil {
		return "", err
	}
	id, found, err := one(c, (*row).text, "SELECT hex(id) FROM store")
	if err == nil && !found {
		err = errors.New("there is none")
	}
	if err != nil {
		return "", fmt.Errorf("read the id of the store %s: %w", path, err)
	}
	return id, nil
}

// check says in a sentence why a database cannot be used as it is.
func (m migrations) check(c *conn, path string) error {
	switch version, err := m.version(c, path); {
	case err != nil:
		return err
	case version == 0:
		return fmt.Errorf("%w in %s, it is empty: the service did not finish making it; start the service, and then this",
			otp.ErrNoStore, path)
	case version < len(m):
		return fmt.Errorf("%s has %w: version %d, and this pimsd needs %d: start the service of this version, which migrates it",
			path, otp.ErrOldSchema, version, len(m))
	}
	return nil
}

// version reads the version of the schema; 0 says that the database is empty. It refuses databases that are not ours,
// and those of a later version of pimsd.
func (m migrations) version(c *conn, path string) (version int, err error) {
	var id, tables int64
	_, _, err = one(c, func(r *row) error {
		id, version, tables = r.integer(), int(r.integer()), r.integer()
		return nil
	}, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id, pragma_user_version`)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the version of %s: %w", path, err)
	case id == 0 && version == 0 && tables == 0:
		return 0, nil
	case id != applicationID || version < 1:
		return 0, fmt.Errorf("%s is a database of another program: name another directory in PIMSD_DATA_DIR", path)
	case version > len(m):
		return 0, fmt.Errorf("%s has a schema of version %d and was written by a later pimsd, this one knows %d: use that later version, "+
			"or restore the backup that it made beside the database before it migrated it", path, version, len(m))
	}
	return version, nil
}

// bringUpToDate makes the tables of a database that is empty, or migrates an older one to the last version. A caller that
// migrates has the database for himself: a process of an older version that went on using it would not know what it
// reads and writes. before is called before a migration, unless it is nil.
func (m migrations) bringUpToDate(ctx context.Context, path string, before func(context.Context) error) error {
	version := 0
	err := withConn(ctx, path, standardPragmas(), func(c *conn) (err error) {
		version, err = m.version(c, path)
		if err == nil && version == 0 {
			err = m.migrate(ctx, c, path)
		}
		return err
	})
	if err != nil || version == 0 || version == len(m) {
		return err
	}
	if before != nil {
		err = before(ctx)
	}
	if err == nil {
		err = checkRoomToMigrate(path)
	}
	if err != nil {
		return err
	}
	err = withConn(ctx, path, exclusively(standardPragmas()), func(c *conn) error {
		backup, err := backUp(ctx, c, path, version)
		if err != nil {
			return fmt.Errorf("back %s up before it is migrated: %w", path, err)
		}
		if err := m.migrate(ctx, c, path); errors.Is(err, errUnchanged) {
			// The backup has the same in it as the database, and a service that starts again and again must not fill
			// the disk with more of them.
			return errors.Join(err, os.Remove(backup))
		} else if err != nil {
			return fmt.Errorf("%w; %s is from before it", err, backup)
		}
		return nil
	})
	if primaryCode(err) == sqlite.ResultBusy {
		return fmt.Errorf("migrate %s: another process has it open, stop that first: %w", path, err)
	}
	return err
}

// errUnchanged means that a migration failed and the database is as it was before.
var errUnchanged = errors.New("nothing of it was done")

// migrate runs the scripts that are missing, in one transaction. After an error that ends with its connection. Of a disk that
// fails its content is unknown; every other error wraps errUnchanged.
func (m migrations) migrate(ctx context.Context, c *conn, path string) error {
	defer c.interruptedBy(ctx)()
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("migrate %s: %w: %w", path, errUnchanged, err)
	}
	from, err := m.version(c, path) // another process may have been faster
	if err != nil {
		return fmt.Errorf("%w: %w", errUnchanged, err)
	}
	script := strings.Join(append(slices.Clone(m[from:]), fmt.Sprintf("PRAGMA user_version = %d", len(m)), "COMMIT"), "\n;\n")
	if err := c.script(script); err != nil {
		outcome := errUnchanged
		if primaryCode(err) == sqlite.ResultIOErr {
			outcome = errors.New("whether it was done is not known")
		}
		return fmt.Errorf("migrate %s from version %d to %d, %w: %w", path, from, len(m), outcome, err)
	}
	return nil
}
