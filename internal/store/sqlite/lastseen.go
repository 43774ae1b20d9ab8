package sqlite

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/pimsd/pimsd/internal/otp"
)

// LastSeenName is the name of the file in the data directory that records which store was there last, and how far it had come. An
// older copy that is put in the place of the database looks healthy, and is recognized by this file.
const LastSeenName = "pimsd.last-seen"

// actionOlder is what the audit log and the doubt epoch say of an older store.
const actionOlder = "store-older"

const (
	readPosition  = `SELECT hex(id), (SELECT coalesce(max(id), 0) FROM audit) FROM store`
	insertOlder   = `INSERT INTO audit (id, ` + lineColumns + `) SELECT max(?, coalesce(max(id), 0)) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM audit`
	lastSeenEvery = 5 * time.Second
)

// position is how far a store has come. Each change of a device adds to the audit log, whose newest line is never deleted.
type position struct {
	store string // its id
	line  int64  // the highest id of its audit log
}

// isOlderThan reports whether a database at p is not the one that was seen, or lacks something that it had.
func (p position) isOlderThan(seen position) bool {
	return seen != position{} && (p.store != seen.store || p.line < seen.line)
}

func readPositionOf(c *conn) (position, error) {
	p, found, err := one(c, func(r *row) position { return position{r.text(), r.integer()} }, readPosition)
	if err == nil && !found {
		err = errors.New("the database does not say which store it is")
	}
	return p, err
}

// positionFormat has a checksum, because the file is written in its place, and that may be interrupted.
const positionFormat = "%s %019d %08x\n"

func (p position) text() string {
	sum := crc32.ChecksumIEEE(fmt.Appendf(nil, "%s %d", p.store, p.line))
	return fmt.Sprintf(positionFormat, p.store, p.line, sum)
}

// readLastSeen returns the position that the data directory has recorded; it is zero when there is none that can be read.
func readLastSeen(path string) position {
	text, err := os.ReadFile(path)
	if err != nil {
		return position{}
	}
	var p position
	var sum uint32
	if _, err := fmt.Sscanf(string(text), positionFormat, &p.store, &p.line, &sum); err != nil || p.text() != string(text) {
		return position{}
	}
	return p
}

func lastSeenPath(database string) string { return filepath.Join(filepath.Dir(database), LastSeenName) }

// doubtIfOlder compares the database with what the data directory has recorded, and returns why it is older; empty means that it is
// not. Unless inspect, it raises the doubt epoch of an older database, and has the ids of its audit log go on behind those that the
// missing lines had: then it is not older any more.
func doubtIfOlder(c *conn, path string, inspect bool) (older string, err error) {
	seen := readLastSeen(lastSeenPath(path)) // before the database is read, which another process may move on
	found, err := readPositionOf(c)
	if err != nil || !found.isOlderThan(seen) {
		return "", nil //nolint:nilerr // what cannot be read is no proof of anything, and whatever needs it fails
	}
	older = fmt.Sprintf("the store is older than the one that %s had last", filepath.Dir(path))
	if inspect {
		return older, nil
	}
	if err := raiseOlder(c, seen, found.store == seen.store); err != nil {
		return "", fmt.Errorf("%s, and its devices cannot be put in doubt: %w", older, err)
	}
	return older, nil
}

// raiseOlder raises the doubt epoch, unless another process has done so by now.
func raiseOlder(c *conn, seen position, sameStore bool) (err error) {
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	end := "ROLLBACK"
	defer func() {
		_, ended := c.exec(end)
		err = errors.Join(err, ended)
	}()
	found, err := readPositionOf(c)
	if err != nil || sameStore && !found.isOlderThan(seen) {
		return err
	}
	line := otp.AuditEntry{At: now(), Caller: "store", Action: actionOlder, Stage: otp.StageOutcome, Outcome: "every device is in doubt"}
	if _, err := c.exec(raiseEpoch, line.At.UnixMicro(), line.Action); err != nil {
		return err
	}
	_, err = c.execWith(insertOlder, func(p *params) {
		p.integer(seen.line)
		setLine(p, uuid.NewString(), line)
	})
	if err != nil {
		return err
	}
	end = "COMMIT"
	return nil
}

// lastSeen records, every few seconds and when the store is closed, how far the store has come. No call waits for it.
type lastSeen struct {
	path     string
	owner    string // a file whose owner is to own the file, too
	recorded position
	stop     chan struct{}
	done     chan struct{}
}

func (s *Store) startLastSeen() {
	s.seen = &lastSeen{path: lastSeenPath(s.writer.path), owner: s.writer.path, stop: make(chan struct{}), done: make(chan struct{})}
	go s.followPosition()
}

// stopLastSeen records the position a last time.
func (s *Store) stopLastSeen() {
	if s.seen != nil {
		close(s.seen.stop)
		<-s.seen.done
	}
}

func (s *Store) followPosition() {
	defer close(s.seen.done)
	ticks := time.NewTicker(lastSeenEvery)
	defer ticks.Stop()
	for {
		s.recordPosition()
		select {
		case <-s.seen.stop:
			s.recordPosition()
			return
		case <-ticks.C:
		}
	}
}

// recordPosition records where the store is by now. When that fails, the record is older than the store, which proves less and
// nothing wrong.
func (s *Store) recordPosition() {
	ctx, cancel := context.WithTimeout(context.Background(), busyTimeout)
	defer cancel()
	positions, err := list(ctx, s, "read how far the store has come",
		func(r *row) (position, error) { return position{r.text(), r.integer()}, r.err }, readPosition)
	if err == nil && len(positions) == 1 {
		_ = otp.CatchPanic(func() error { return s.seen.record(positions[0]) })
	}
}

// record overwrites the previous position. The file keeps its size and its place, so that a full disk does not matter and the
// directory does not change.
func (l *lastSeen) record(p position) error {
	if p == l.recorded {
		return nil
	}
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(p.text()), 0)
	if err := errors.Join(err, ownAs(file, l.owner), file.Close()); err != nil {
		return err
	}
	l.recorded = p
	return nil
}
