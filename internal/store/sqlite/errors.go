package sqlite

import (
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
)

// sqlError is an error of SQLite.
type sqlError struct {
	code sqlite.ResultCode // with its extension
	err  error
}

// Error returns what SQLite says, and the name of its code.
func (e *sqlError) Error() string {
	return fmt.Sprintf("%s (%v)", strings.TrimPrefix(e.err.Error(), "sqlite: step: "), e.code)
}

// Unwrap returns the error as the library has returned it.
func (e *sqlError) Unwrap() error { return e.err }

// withCode returns an error of the library as an sqlError.
func withCode(err error) error {
	if err == nil {
		return nil
	}
	return &sqlError{sqlite.ErrCode(err), err}
}

// codeOf returns SQLite's code of an error; ResultOK when the error is none of SQLite's.
func codeOf(err error) sqlite.ResultCode {
	if e, ok := errors.AsType[*sqlError](err); ok {
		return e.code
	}
	return sqlite.ResultOK
}

// primaryCode is codeOf without the code's extension.
func primaryCode(err error) sqlite.ResultCode { return codeOf(err).ToPrimary() }

// joinErrors returns the first error alone if the second is nil, as it is.
func joinErrors(first, second error) error {
	if second == nil {
		return first
	}
	return errors.Join(first, second)
}

// explain translates SQLite's errors about files that it cannot use.
func explain(err error) error {
	switch primaryCode(err) {
	case sqlite.ResultNotADB:
		return fmt.Errorf("it is not an SQLite database, or encrypted: restore it, or name another directory in PIMSD_DATA_DIR: %w", err)
	case sqlite.ResultCorrupt:
		return fmt.Errorf("it is damaged: %w", err)
	case sqlite.ResultCantOpen:
		return fmt.Errorf("it cannot be opened: let the user that runs pimsd own it and its directory: %w", err)
	case sqlite.ResultReadOnly, sqlite.ResultPerm:
		return fmt.Errorf("it cannot be written: let the user that runs pimsd own it and its directory: %w", err)
	default:
		if codeOf(err) == sqlite.ResultIOErrSHMSize {
			return fmt.Errorf("there is no room on its disk for what SQLite keeps next to it: make room: %w", err)
		}
		return err
	}
}

// fault says what an error means for the store.
type fault int

const (
	// faultNone is that of what is no error of SQLite, such as a caller who went away.
	faultNone fault = iota
	// faultPassing means that SQLite or the machine is short of something: another process writes, the disk is full or
	// refuses a write, there is no memory or no room for a temporary file. The same connection may go on, and what was
	// written before is durable.
	faultPassing
	// faultLocal means that one statement could not be run: a damaged page, a sector that cannot be read, a value that does
	// not fit. Others are not affected.
	faultLocal
	// faultFatal means that it is not known any more what is durable, or that SQLite cannot work with its files.
	faultFatal
)

// faultOf is the one place that says which errors break the store.
//
// What breaks it is a sync that failed, for pages that were written before may be lost though a later sync succeeds, and
// whatever is not listed here. A write that failed does not: its transaction is rolled back, and the next one writes over what is
// left of it in the log.
func faultOf(err error) fault {
	if e, ok := errors.AsType[*sqlError](err); ok {
		return faultOfCode(e.code)
	}
	return faultNone
}

func faultOfCode(code sqlite.ResultCode) fault {
	for _, code := range []sqlite.ResultCode{code, code.ToPrimary()} {
		switch code {
		case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultProtocol, // another process is in the way
			sqlite.ResultFull, sqlite.ResultIOErrWrite, // ENOSPC is the former, EDQUOT the latter
			sqlite.ResultNoMem, sqlite.ResultIOErrNoMem, sqlite.ResultIOErrGetTempPath,
			sqlite.ResultCantOpen, sqlite.ResultReadOnly,
			sqlite.ResultInterrupt: // the caller went away
			return faultPassing
		case sqlite.ResultCorrupt, sqlite.ResultIOErrRead, sqlite.ResultIOErrShortRead,
			sqlite.ResultConstraint, sqlite.ResultTooBig, sqlite.ResultMismatch, sqlite.ResultRange:
			return faultLocal
		default:
		}
	}
	return faultFatal
}

// isFull reports whether the disk has refused a write: SQLite reports ENOSPC as the one code, and EDQUOT as the other.
func isFull(err error) bool {
	return primaryCode(err) == sqlite.ResultFull || codeOf(err) == sqlite.ResultIOErrWrite
}

// isDamage reports whether an error means that what a statement read is damaged, or cannot be read from the disk.
func isDamage(err error) bool {
	code := codeOf(err)
	return code.ToPrimary() == sqlite.ResultCorrupt || code == sqlite.ResultIOErrRead || code == sqlite.ResultIOErrShortRead
}

// IsDamage reports whether an error means that a database is damaged, or cannot be read from the disk.
func IsDamage(err error) bool { return isDamage(err) }
