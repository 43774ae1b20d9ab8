package sqlite

import (
	"errors"
	"fmt"
	"os"
)

const (
	// readPairing returns the names of the log and of the previous log.
	readPairing = `SELECT hex(log), hex(log_before) FROM store`
	// withoutLog reports whether the head of the database says that no log belongs to it, as in copies that VACUUM INTO has made.
	withoutLog = `SELECT substr(data, 19, 2) = x'0101' FROM sqlite_dbpage WHERE pgno = 1`
)

// checkPairing refuses a database whose log belongs to another one, such as a backup that was put in the place of the database: SQLite
// would mix them. It must be called before anything opens the database for writing.
//
// The database file alone, without the log, names the log that was written back last. The log that belongs to it names the same
// one as its predecessor; or itself, once that page of it was written back. A database that can be read alone, and is damaged together
// with the log, is refused, too: SQLite would find the tables of the one in pages of the other. What cannot be read otherwise is no
// proof of anything.
func checkPairing(path string) error {
	if !hasLog(path) {
		return nil
	}
	whole, err := openReadOnly(path, "")
	if err != nil {
		return nil // SQLite will say what is wrong when it is opened for writing
	}
	defer whole.Close() //nolint:errcheck // it was only read
	// While it is read, the log cannot be begun again by another process.
	if _, err := whole.exec("BEGIN"); err != nil {
		return nil // as above
	}
	log, before, err := pairing(whole)
	isMixed := isDamage(err)
	if err != nil && !isMixed {
		return nil // as above
	}
	alone, err := openReadOnly(path, "&immutable=1") // which has SQLite pay no heed to the log
	if err != nil {
		return nil // as above
	}
	defer alone.Close() //nolint:errcheck // it was only read
	neverHadOne, _, err := one(alone, (*row).flag, withoutLog)
	if err != nil {
		return nil // as above
	}
	writtenBack, _, err := pairing(alone)
	if !neverHadOne && (err != nil || !isMixed && (writtenBack == before || writtenBack == log)) {
		return nil // as above
	}
	return fmt.Errorf("%s is not the database that %[1]s-wal belongs to: it was replaced, by an older copy perhaps. Put the right one back; "+
		"or restore a backup with `pimsd store restore FILE`", path)
}

// hasLog reports whether there is a log with something in it, as a process leaves it that was killed, or has the database open.
func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

func pairing(c *conn) (log, before string, err error) {
	_, found, err := one(c, func(r *row) error {
		log, before = r.text(), r.text()
		return nil
	}, readPairing)
	if err == nil && !found {
		err = errors.New("the database does not say which log belongs to it")
	}
	return log, before, err
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
func (w *writer) renew() error {
	if !w.renewal.due {
		return nil
	}
	w.renewal.due = false
	version, err := dataVersion(w.conn)
	if err != nil || version != w.renewal.version {
		return err
	}
	_, err = w.conn.exec(nameLog)
	return err
}

func dataVersion(c *conn) (version int64, err error) {
	version, _, err = one(c, (*row).integer, readDataVersion)
	return version, err
}
