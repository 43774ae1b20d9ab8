// Package sqlite keeps device records, the audit log and API keys in one SQLite database: otp.Store and authn.KeyStore for a service on
// one machine.
//
// A verb that returned nil survives a power failure: it is in the write-ahead log, and the log is synced. One goroutine owns the
// connection that writes. It puts the writes that wait into one transaction, so that many callers share one sync and a lone caller waits
// for no other. Another goroutine owns a connection for lists and counts. Several processes may use the database at the same time.
//
// Nothing in the process may open the files of the database by other means than SQLite: closing them drops SQLite's POSIX locks.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	modernc "modernc.org/sqlite"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// FileName is the name of the database in the data directory. Next to it SQLite keeps FileName-wal and FileName-shm,
// which belong to it: a copy of one without the others is worth nothing.
const FileName = "pimsd.db"

const (
	busyTimeout  = 5 * time.Second  // the longest wait for another process that writes
	closeTimeout = 10 * time.Second // the longest that Close takes
)

// Options are what a store is opened with.
type Options struct {
	// Dir is the data directory.
	Dir string
	// ObserveCommit, when it is not nil, is called after each transaction: how many writes were in it, how long it took to
	// become durable, and the error that all of them got, or nil. It is called by the one writer and must not block.
	ObserveCommit func(writes int, took time.Duration, err error)
	// Now returns the time that records are compared with, which may jump. Nil means the clock of the machine.
	Now func() time.Time
	// Inspect is for a caller that changes nothing: an older store is reported by Condition, and not put in doubt.
	Inspect bool
	// BeforeMigration, when it is not nil, is called before an older schema is migrated. After its error nothing is migrated.
	BeforeMigration func(context.Context) error
	// Guard limits the guesses that accounts of an older store have, about which it is not known what they have counted since.
	Guard otp.GuardLimits
}

// Store is a database that is open. Its methods may be called at any time from anywhere.
type Store struct {
	writer *writer
	reader *reader
	health *health
	seen   *lastSeen        // nil for a caller that inspects
	clock  func() time.Time // nil means time.Now

	endVerify context.CancelFunc // ends the look over the store that goes on while it serves
	verified  chan struct{}      // closed when that look has ended; nil: there is none

	closeOnce sync.Once
	closeErr  error
}

var (
	_ otp.Store      = (*Store)(nil)
	_ authn.KeyStore = (*Store)(nil)
)

// Open opens the store in the data directory, which must be there and have this version's schema. otp.ErrNoStore says that
// it is not there; every error is a sentence for the operator.
func Open(ctx context.Context, o Options) (*Store, error) {
	path, err := findDatabase(o.Dir)
	if err != nil {
		return nil, err
	}
	return openStore(ctx, path, o, builtIn())
}

// OpenOrCreate opens the store in the data directory. It makes one when the directory is missing or empty, and migrates
// one with an older schema after a backup of it; that is for the service alone, never for a command.
func OpenOrCreate(ctx context.Context, o Options) (*Store, error) {
	return openOrCreate(ctx, o, builtIn())
}

func openOrCreate(ctx context.Context, o Options, m migrations) (*Store, error) {
	path, err := findOrMakeDatabase(o.Dir)
	if err != nil {
		return nil, err
	}
	remark, later := "", m.mayVerifyLater(path)
	if !later {
		remark, err = verify(ctx, path, verifyTimeout)
	}
	if err == nil {
		err = m.bringUpToDate(ctx, path, o.BeforeMigration)
	}
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, path, o, m)
	if err != nil {
		return nil, err
	}
	if err := s.refuseUnnoticedChanges(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.health.unverified = remark
	if later {
		s.verifyMeanwhile()
	}
	return s, nil
}

func openStore(ctx context.Context, path string, o Options, m migrations) (_ *Store, err error) {
	// As every build of SQLite for Linux does: fsync would journal the time of each commit as well. Where there is no
	// such call, SQLite goes on with the one that it has.
	_, _ = modernc.Fdatasync(true)
	reads, err := openConn(ctx, path, standardPragmas())
	if err != nil {
		return nil, err
	}
	w := &writer{path: path, health: &health{maxLog: maxLog}, observe: o.ObserveCommit}
	defer func() {
		if err != nil {
			err = errors.Join(err, reads.Close(), w.closeConn())
		}
	}()
	if w.health.id, err = m.identify(reads, path); err != nil {
		return nil, err
	}
	if w.health.files, err = identify(path); err != nil {
		return nil, err
	}
	if w.health.older, err = doubtIfOlder(ctx, reads, path, o); err != nil {
		return nil, err
	}
	if _, err := reads.exec(smallCache); err != nil {
		return nil, err
	}
	if err := reads.prepare(readerStatements()); err != nil {
		return nil, err
	}
	if w.conn, err = openWriterConn(ctx, path); err != nil {
		return nil, err
	}
	w.reserve = openReserve(filepath.Dir(path))
	// What a process that was killed had written but not synced is visible again by now, and must become durable before
	// anyone builds on it. A checkpoint writes and syncs it; while other processes use the database there is none of it.
	if _, err := w.writeBack(passive); err != nil {
		return nil, fmt.Errorf("bring %s up to date with its write-ahead log: %w", path, err)
	}
	w.start()
	s := &Store{writer: w, reader: startReader(reads), health: w.health, clock: o.Now}
	if !o.Inspect {
		s.startLastSeen()
	}
	return s, nil
}

// Close ends the store: writes under way are finished and answered, later calls fail. It takes 10 s at most, may be
// called more than once, and always says the same.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		closed := make(chan error, 1)
		go func() {
			s.stopLastSeen()
			s.stopVerifying()
			s.reader.stop()
			s.writer.stop()
			closed <- nil
		}()
		select {
		case s.closeErr = <-closed:
		case <-time.After(closeTimeout):
			s.closeErr = fmt.Errorf("the store did not close within %v: its disk does not answer", closeTimeout)
		}
	})
	return s.closeErr
}

// now returns the time of the store's clock.
func (s *Store) now() time.Time {
	if s.clock == nil {
		return now()
	}
	return s.clock().UTC().Truncate(time.Microsecond)
}

// now returns the time of the machine, for what no record is compared with.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
