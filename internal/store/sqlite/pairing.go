package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"os"

	"modernc.org/sqlite"
)

const (
	// readPairing returns the names of the log and of the one before.
	readPairing = `SELECT hex(log) || ' ' || hex(log_before) FROM store`
	// withoutLog reports whether the head of the database says that no log belongs to it, as in copies that VACUUM INTO has made.
	withoutLog = `SELECT substr(data, 19, 2) = x'0101' FROM sqlite_dbpage WHERE pgno = 1`
)

// checkPairing refuses a database whose log belongs to another one, such as a backup that was put in the place of the database: SQLite
// would mix them. It must be called before anything opens the database for writing.
//
// The database file alone, without the log, names the log that was written back last. The log that belongs to it names the same
// one as its predecessor; or itself, once that page of it was written back. What cannot be read is no proof of anything.
func checkPairing(ctx context.Context, path string) error {
	if !hasLog(path) {
		return nil
	}
	whole, err := openReadOnly(ctx, path, "")
	if err != nil {
		return nil // SQLite will say what is wrong when it is opened for writing
	}
	defer whole.Close() //nolint:errcheck // it was only read
	// While it is read, the log cannot be begun again by another process.
	if _, err := ask(ctx, whole, "BEGIN"); err != nil {
		return nil // as above
	}
	log, before, err := pairing(ctx, whole)
	if err != nil {
		return nil // as above
	}
	alone, err := openReadOnly(ctx, path, "&immutable=1") // which has SQLite pay no heed to the log
	if err != nil {
		return nil // as above
	}
	defer alone.Close() //nolint:errcheck // it was only read
	neverHadOne, err := ask(ctx, alone, withoutLog)
	if err != nil {
		return nil // as above
	}
	writtenBack, _, err := pairing(ctx, alone)
	if neverHadOne != "1" && (err != nil || writtenBack == before || writtenBack == log) {
		return nil // as above
	}
	return fmt.Errorf("%s is not the database that %[1]s-wal belongs to: it was replaced, by an older copy perhaps. Put the right one back; "+
		"or restore a backup with `pimsd store restore`", path)
}

// hasLog reports whether there is a log with something in it, as a process leaves it that was killed, or has the database open.
func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

func pairing(ctx context.Context, conn driver.Conn) (log, before string, err error) {
	text, err := ask(ctx, conn, readPairing)
	if err != nil {
		return "", "", err
	}
	if _, err := fmt.Sscan(text, &log, &before); err != nil {
		return "", "", fmt.Errorf("read which log belongs to the database: %w", err)
	}
	return log, before, nil
}

// openReadOnly opens a connection that cannot change the database, and so does not write the log back when it is closed.
func openReadOnly(ctx context.Context, path, options string) (driver.Conn, error) {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro" + options}
	base, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	return base.Connect(ctx)
}

// renewal has the next log name itself. It can be written as soon as all of the log is in the database, and only as long as nothing
// was written since: other processes write logs back, too.
type renewal struct {
	due     bool
	version int64 // of the data, as SQLite counts what other connections commit
}

// prepare makes a renewal due after a checkpoint that was complete; version is that from before it.
func (r *renewal) prepare(version int64) { r.due, r.version = true, version }

// renew names the log, in the transaction that begins it, if that is due and still possible.
func (w *writer) renew(ctx context.Context) error {
	if !w.renewal.due {
		return nil
	}
	w.renewal.due = false
	version, err := dataVersion(ctx, w.conn)
	if err != nil || version != w.renewal.version {
		return err
	}
	_, err = w.on.nameLog.ExecContext(ctx)
	return err
}

func dataVersion(ctx context.Context, conn *sql.Conn) (version int64, err error) {
	err = conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version)
	return version, err
}
