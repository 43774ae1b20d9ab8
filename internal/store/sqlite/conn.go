package sqlite

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

// conn is a connection to a database. It is for one goroutine at a time.
type conn struct {
	*sqlite.Conn
	params params // of the statement that is run
	row    row    // of its result

	//nolint:containedctx // the one that interrupts statements; nil when none does
	ctx context.Context
}

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
		{"cache_size", "-512", "-512"},   // KiB: the writer and the reader of a store have their own
		{"journal_size_limit", "33554432", "33554432"},
		{"temp_store", "MEMORY", "2"},  // nothing but the data directory need be writable
		{"trusted_schema", "OFF", "0"}, // a schema that was tampered with calls no function that has effects
	}
}

// smallCache leaves a connection that reads each page once 128 KiB of pages: the inner ones of its trees.
const smallCache = `PRAGMA cache_size = -128`

// exclusively adds that no other connection, of whatever process, may have the database open.
func exclusively(pragmas []pragma) []pragma {
	return append([]pragma{{"locking_mode", "EXCLUSIVE", "exclusive"}}, pragmas...)
}

// openConn opens a connection to the database at path, which must be there, and sets it up. While another process makes the
// database, or closes it as the last one, SQLite may find it locked without waiting; so openConn waits until ctx ends, at most
// busyTimeout.
func openConn(ctx context.Context, path string, pragmas []pragma) (*conn, error) {
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(busyTimeout); ; {
		c, err := open(path, path, sqlite.OpenReadWrite)
		if err == nil {
			if err = c.setUp(path, pragmas); err == nil {
				return c, nil
			}
			_ = c.Close() // the error that matters is the first
		}
		if primaryCode(err) != sqlite.ResultBusy || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// openReadOnly opens a connection that cannot change the database, and so does not write the log back when it is closed.
func openReadOnly(path, options string) (*conn, error) {
	uri := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro" + options}
	c, err := open(path, uri.String(), sqlite.OpenReadOnly|sqlite.OpenURI)
	if err == nil {
		c.SetBusyTimeout(busyTimeout)
	}
	return c, err
}

// openMemory opens an empty database in memory.
func openMemory() (*conn, error) { return open("memory", ":memory:", sqlite.OpenReadWrite) }

func open(path, name string, flags sqlite.OpenFlags) (*conn, error) {
	_ = waitForThaw()
	c, err := sqlite.OpenConn(name, flags)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(withCode(err)))
	}
	c.SetBusyTimeout(0)
	return &conn{Conn: c}, nil
}

// setUp sets the pragmas. It refuses a connection on which one of them was not set, or that cannot write.
func (c *conn) setUp(path string, pragmas []pragma) error {
	for _, p := range pragmas {
		if _, err := c.exec("PRAGMA " + p.name + " = " + p.value); err != nil {
			return fmt.Errorf("open %s: set %s to %s: %w", path, p.name, p.value, explain(err))
		}
		got, _, err := one(c, (*row).anything, "PRAGMA "+p.name)
		if err != nil {
			return fmt.Errorf("open %s: read %s back: %w", path, p.name, err)
		}
		if got != p.readBack {
			return fmt.Errorf("open %s: %s was set to %s and is %q: what SQLite cannot do here, no OTP may rest on; "+
				"name a directory on a local disk in PIMSD_DATA_DIR", path, p.name, p.value, got)
		}
	}
	return c.checkWritable(path)
}

// checkWritable refuses a database that SQLite could open for reading alone. It does not wait for other processes.
func (c *conn) checkWritable(path string) error {
	c.SetBusyTimeout(0)
	defer c.SetBusyTimeout(busyTimeout)
	_, err := c.exec("PRAGMA incremental_vacuum(1)") // needs a transaction that writes, and writes nothing
	if err != nil && primaryCode(err) != sqlite.ResultBusy {
		return fmt.Errorf("open %s: %w", path, explain(err))
	}
	return nil
}

// withConn lends a connection that is closed afterwards.
func withConn(ctx context.Context, path string, pragmas []pragma, use func(*conn) error) error {
	c, err := openConn(ctx, path, pragmas)
	if err != nil {
		return err
	}
	return joinErrors(use(c), c.Close())
}

// interruptedBy has statements that run when ctx ends fail with its error, until the returned function is called.
func (c *conn) interruptedBy(ctx context.Context) (end func()) {
	c.ctx = ctx
	c.SetInterrupt(ctx.Done())
	return func() {
		c.ctx = nil
		c.SetInterrupt(nil)
	}
}

// failure returns an error of the library as an sqlError, and the interruption by a context as the error of that.
func (c *conn) failure(err error) error {
	if c.ctx != nil && c.ctx.Err() != nil && sqlite.ErrCode(err) == sqlite.ResultInterrupt {
		return c.ctx.Err()
	}
	return withCode(err)
}

// exec runs a statement, which is kept prepared, and returns how many rows it has changed.
func (c *conn) exec(text string, args ...any) (changed int, err error) {
	return c.execWith(text, func(p *params) { p.all(args) })
}

// execWith is exec with parameters that set sets.
func (c *conn) execWith(text string, set func(*params)) (changed int, err error) {
	err = c.run(text, set, nil)
	return c.Changes(), err
}

// query runs a statement, and calls use for each row of its result.
func (c *conn) query(use func(*row), text string, args ...any) error {
	return c.run(text, func(p *params) { p.all(args) }, use)
}

// run runs a statement, which is kept prepared, with the parameters that set sets, and calls use, which may be nil, for each row of its
// result.
func (c *conn) run(text string, set func(*params), use func(*row)) (err error) {
	statement, err := c.Prepare(text)
	if err != nil {
		return c.failure(err)
	}
	defer func() {
		if resetting := statement.Reset(); err == nil {
			err = c.failure(resetting)
		}
	}()
	c.params = params{statement: statement}
	if set(&c.params); c.params.err != nil {
		return c.params.err
	}
	for {
		switch found, err := statement.Step(); {
		case err != nil:
			return c.failure(err)
		case !found:
			return nil
		case use != nil:
			c.row = row{statement: statement}
			use(&c.row)
		}
	}
}

// all returns what read makes of the rows of a result. An error of a row ends it.
func all[T any](c *conn, read func(*row) (T, error), text string, args ...any) (values []T, err error) {
	var failure error
	err = c.query(func(r *row) {
		if failure != nil {
			return
		}
		var value T
		if value, failure = read(r); failure == nil {
			values = append(values, value)
		}
	}, text, args...)
	if err == nil {
		err = failure
	}
	return values, err
}

// one returns what read makes of the last row of a result that has one row or none.
func one[T any](c *conn, read func(*row) T, text string, args ...any) (value T, found bool, err error) {
	err = c.query(func(r *row) { value, found = read(r), true }, text, args...)
	return value, found, err
}

// prepare prepares statements that are kept.
func (c *conn) prepare(texts []string) error {
	for _, text := range texts {
		if _, err := c.Prepare(text); err != nil {
			return fmt.Errorf("prepare %.40q: %w", text, c.failure(err))
		}
	}
	return nil
}

// script runs the statements of a text one after the other, until one fails.
func (c *conn) script(text string) error {
	for text = withoutBlanks(text); text != ""; text = withoutBlanks(text) {
		statement, rest, err := c.PrepareTransient(text)
		if err != nil {
			return c.failure(err)
		}
		for more := true; more && err == nil; {
			more, err = statement.Step()
		}
		if err := joinErrors(c.failure(err), c.failure(statement.Finalize())); err != nil {
			return err
		}
		text = text[len(text)-rest:]
	}
	return nil
}

// withoutBlanks returns a script without the blanks, comments and empty statements at its beginning.
func withoutBlanks(script string) string {
	for {
		script = strings.TrimLeft(script, " \t\r\n;")
		if !strings.HasPrefix(script, "--") {
			return script
		}
		_, script, _ = strings.Cut(script, "\n")
	}
}
