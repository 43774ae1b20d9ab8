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

// ActionOlder is what the audit log and the doubt epoch say of an older store.
const ActionOlder = "store-older"

const (
	readPosition = `SELECT hex(id), (SELECT coalesce(max(id), 0) FROM audit), (SELECT number FROM doubt_epoch) FROM store`
	raiseOlder   = `UPDATE doubt_epoch SET (number, since, cause) = (max(number, ?) + 1, ?, ?)`
	insertOlder  = `INSERT INTO audit (id, ` + lineColumns + `) SELECT max(?, coalesce(max(id), 0)) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM audit`
	listOlder    = `SELECT ` + listedWithoutVault + ` FROM device WHERE account > ? ORDER BY account LIMIT ?`

	lastSeenEvery = 5 * time.Second
	olderPage     = 256 // rows that are read at a time
)

// position is how far a store has come. Each change of a device adds to the audit log, whose newest line is never deleted.
type position struct {
	store string // its id
	line  int64  // the highest id of its audit log
	epoch int64  // its doubt epoch
}

// isOlderThan reports whether a database at p is not the one that was seen, or lacks something that it had.
func (p position) isOlderThan(seen position) bool {
	return seen != position{} && (p.store != seen.store || p.line < seen.line)
}

func readPositionOf(c *conn) (position, error) {
	found, err := all(c, readPositionRow, readPosition)
	if err == nil && len(found) != 1 {
		err = errors.New("the database does not say which store it is")
	}
	if err != nil {
		return position{}, err
	}
	return found[0], nil
}

// readPositionRow reads readPosition.
func readPositionRow(r *row) (position, error) {
	return position{r.text(), r.integer(), r.integer()}, r.err
}

// positionFormat has a checksum, because the file is written in its place, and that may be interrupted.
const positionFormat = "%s %019d %019d %08x\n"

func (p position) text() string {
	sum := crc32.ChecksumIEEE(fmt.Appendf(nil, "%s %d %d", p.store, p.line, p.epoch))
	return fmt.Sprintf(positionFormat, p.store, p.line, p.epoch, sum)
}

// readLastSeen returns the position that the data directory has recorded; it is zero when there is none that can be read.
func readLastSeen(path string) position {
	text, err := os.ReadFile(path)
	if err != nil {
		return position{}
	}
	var p position
	var sum uint32
	if _, err := fmt.Sscanf(string(text), positionFormat, &p.store, &p.line, &p.epoch, &sum); err != nil || p.text() != string(text) {
		return position{}
	}
	return p
}

func lastSeenPath(database string) string { return filepath.Join(filepath.Dir(database), LastSeenName) }

// doubtIfOlder compares the database with what the data directory has recorded, and returns why it is older; empty means that it is
// not. Unless inspect, it puts the devices of an older database in doubt: then it is not older any more.
func doubtIfOlder(ctx context.Context, c *conn, path string, o Options) (older string, err error) {
	seen := readLastSeen(lastSeenPath(path)) // before the database is read, which another process may move on
	if found, err := readPositionOf(c); err != nil || !found.isOlderThan(seen) {
		return "", nil // what cannot be read is no proof of anything, and whatever needs it fails
	}
	older = fmt.Sprintf("the store is older than the one that %s had last", filepath.Dir(path))
	if o.Inspect {
		return older, nil
	}
	defer c.interruptedBy(ctx)()
	if err := doubtOlder(c, path, o.Guard); err != nil {
		return "", fmt.Errorf("%s, and its devices cannot be put in doubt: %w", older, err)
	}
	return older, nil
}

// doubtOlder raises the doubt epoch above the one that was seen, unless another process has done so by now. What accounts have counted
// since is not known, and so each of them has one guess. The ids of the audit log go on behind those that the missing lines had.
func doubtOlder(c *conn, path string, guard otp.GuardLimits) (err error) {
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	end := "ROLLBACK"
	defer func() {
		_, ended := c.exec(end)
		err = errors.Join(err, ended)
	}()
	record := &lastSeen{path: lastSeenPath(path), owner: path}
	seen := readLastSeen(record.path)
	found, err := readPositionOf(c)
	if err != nil || !found.isOlderThan(seen) {
		return err
	}
	line := otp.AuditEntry{At: now(), Caller: "store", Action: ActionOlder, Stage: otp.StageOutcome, Outcome: "every device is in doubt"}
	if err := leaveOneGuess(c, line.At, guard); err != nil {
		return err
	}
	if _, err := c.exec(raiseOlder, seen.epoch, line.At.UnixMicro(), line.Action); err != nil {
		return err
	}
	_, err = c.execWith(insertOlder, func(p *params) {
		p.integer(seen.line)
		setLine(p, uuid.NewString(), line)
	})
	if err == nil {
		found, err = readPositionOf(c)
	}
	if err != nil {
		return err
	}
	_ = record.record(found) // before the end, so that no other process does the same again
	end = "COMMIT"
	return nil
}

// leaveOneGuess does to all records what a restore does that knows nothing of the store that it replaces. Records that cannot be read stay
// as they are.
func leaveOneGuess(c *conn, at time.Time, guard otp.GuardLimits) error {
	for after := ""; ; {
		rows, err := all(c, readListed, listOlder, after, olderPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = string(rows[len(rows)-1].Account)
		for _, row := range rows {
			next, err := otp.RestoredUnknown(row, at, guard)
			if err != nil {
				continue
			}
			if _, err := c.execWith(replaceDevice, func(p *params) { setDevice(p, otp.Write{Row: next, SameSecrets: true}) }); err != nil {
				return err
			}
		}
	}
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
	positions, err := list(ctx, s, "read how far the store has come", readPositionRow, readPosition)
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
