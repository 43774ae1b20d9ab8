package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// pragma is a setting of a connection, and how SQLite reads it back.
type pragma struct{ name, value, readBack string }

// standardPragmas are what every connection has. Durability stands on the first three.
func standardPragmas() []pragma {
	milliseconds := fmt.Sprint(busyTimeout.Milliseconds())
	return []pragma{
		{"busy_timeout", milliseconds, milliseconds},
		{"journal_mode", "WAL", "wal"},
		{"synchronous", "FULL", "2"},
		{"fullfsync", "ON", "1"}, // where fsync alone does not reach the disk: macOS
		{"foreign_keys", "ON", "1"},
		{"wal_autocheckpoint", "0", "0"}, // the writer does it, and looks at the result
		{"journal_size_limit", "67108864", "67108864"},
		{"temp_store", "MEMORY", "2"}, // nothing but the data directory need be writable
	}
}

// exclusively adds that no other connection, of whatever process, may have the database open.
func exclusively(pragmas []pragma) []pragma {
	return append([]pragma{{"locking_mode", "EXCLUSIVE", "exclusive"}}, pragmas...)
}

// openPool gives a pool of connections to the database at path, which must be there when the first one is made.
func openPool(path string, pragmas []pragma) *sql.DB {
	return sql.OpenDB(&connector{path: path, pragmas: pragmas})
}

// connector makes connections and does not let one pass on which a pragma has not taken.
type connector struct {
	path    string
	pragmas []pragma
}

// Driver gives SQLite's driver.
func (c *connector) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect opens a connection and sets it up. While another process makes the database, or closes it as the last one,
// SQLite may find it locked without waiting; so this waits.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(busyTimeout); ; {
		conn, err := c.connect(ctx)
		if code, ok := resultCode(err); !ok || code != lib.SQLITE_BUSY || time.Now().After(deadline) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (c *connector) connect(ctx context.Context) (driver.Conn, error) {
	dsn := url.URL{Scheme: "file", Path: c.path, RawQuery: "mode=rw&_dqs=0&_defensive=1&_error_rc=1"}
	base, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("name the database %s to SQLite: %w", c.path, err)
	}
	conn, err := base.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.path, explain(err))
	}
	if err := c.setUp(ctx, conn); err != nil {
		_ = conn.Close() // the error that matters is the first
		return nil, err
	}
	return conn, nil
}

func (c *connector) setUp(ctx context.Context, conn driver.Conn) error {
	if readOnly, ok := conn.(interface{ IsReadOnly(string) (bool, error) }); ok {
		if yes, err := readOnly.IsReadOnly("main"); err != nil || yes {
			return fmt.Errorf("open %s: it cannot be written: give it, and its directory, to the user that runs pimsd", c.path)
		}
	}
	for _, p := range c.pragmas {
		if _, err := ask(ctx, conn, "PRAGMA "+p.name+" = "+p.value); err != nil {
			return fmt.Errorf("open %s: set %s to %s: %w", c.path, p.name, p.value, explain(err))
		}
		got, err := ask(ctx, conn, "PRAGMA "+p.name)
		if err != nil {
			return fmt.Errorf("open %s: read %s back: %w", c.path, p.name, err)
		}
		if got != p.readBack {
			return fmt.Errorf("open %s: %s was set to %s and is %q: what SQLite cannot do here, no OTP may rest on; "+
				"name a directory on a local disk in PIMSD_DATA_DIR", c.path, p.name, p.value, got)
		}
	}
	return nil
}

// ask runs a statement on a bare connection and returns the first value of its first row as text, or nothing.
func ask(ctx context.Context, conn driver.Conn, query string) (answer string, err error) {
	return askWith(ctx, conn, query)
}

// askWith is ask with arguments, which are texts.
func askWith(ctx context.Context, conn driver.Conn, query string, args ...string) (answer string, err error) {
	err = eachWith(ctx, conn, query, args, func(value string) bool {
		answer = value
		return false
	})
	return answer, err
}

// each hands over the first value of each row of a query on a bare connection, as text, until use returns false.
func each(ctx context.Context, conn driver.Conn, query string, use func(string) bool) (err error) {
	return eachWith(ctx, conn, query, nil, use)
}

// eachWith is each with arguments, which are texts.
func eachWith(ctx context.Context, conn driver.Conn, query string, args []string, use func(string) bool) (err error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return fmt.Errorf("a connection of the type %T takes no queries", conn)
	}
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	rows, err := queryer.QueryContext(ctx, query, values)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case err == io.EOF || len(row) == 0: //nolint:errorlint // database/sql/driver says that it is this very value
			return nil
		case err != nil:
			return err
		}
		if !use(strings.TrimSpace(fmt.Sprint(row[0]))) {
			return nil
		}
	}
}

// explain says in words of this program what SQLite says of files that it cannot use.
func explain(err error) error {
	switch code, _ := resultCode(err); code {
	case lib.SQLITE_NOTADB:
		return fmt.Errorf("it is not an SQLite database, or encrypted: restore it, or name another directory in PIMSD_DATA_DIR: %w", err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return fmt.Errorf("it cannot be written: give it, and its directory, to the user that runs pimsd: %w", err)
	}
	return err
}
