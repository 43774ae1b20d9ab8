package sqlite

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// pastStore is a data directory with a store that has an older copy of itself.
type pastStore struct{ dir, copied string }

func newPastStore(t *testing.T) pastStore {
	t.Helper()
	p := pastStore{dir: filepath.Join(t.TempDir(), "data"), copied: filepath.Join(t.TempDir(), "copy.db")}
	s := openWith(t, p.dir, builtIn())
	if err := s.Create(t.Context(), benchWrite(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), p.copied, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(t.Context(), benchWrite(1, 2)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	return p
}

// goBack puts the older copy in the place of the database, as an operator does with cp.
func (p pastStore) goBack(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(p.copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, FileName), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p pastStore) open(t *testing.T, inspect bool) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: p.dir, Inspect: inspect})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func epochOf(t *testing.T, s *Store) otp.Epoch {
	t.Helper()
	epoch, err := s.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

func newestLine(t *testing.T, s *Store) otp.AuditRecord {
	t.Helper()
	lines, err := s.AuditAfter(t.Context(), 0, math.MaxInt32)
	if err != nil || len(lines) == 0 {
		t.Fatalf("the audit log has %d lines: %v", len(lines), err)
	}
	return lines[len(lines)-1]
}

func TestOlderStoreBeginsInDoubt(t *testing.T) {
	t.Parallel()
	p := newPastStore(t)
	s := p.open(t, false)
	if epoch, older := epochOf(t, s), s.Condition(t.Context()).Older; epoch.Number != 1 || older != "" {
		t.Errorf("the store itself, opened again, has the epoch %+v, and is %q", epoch, older)
	}
	latest := newestLine(t, s).ID
	closeStore(t, s)
	p.goBack(t)
	s = p.open(t, false)
	if epoch := epochOf(t, s); epoch.Number != 2 || epoch.Cause != ActionOlder || epoch.Since.IsZero() {
		t.Errorf("an older store has the epoch %+v", epoch)
	}
	if line := newestLine(t, s); line.Action != ActionOlder || line.ID <= latest {
		t.Errorf("its audit log ends with %+v, and the store from before had %d", line, latest)
	}
	if s.Condition(t.Context()).Older == "" {
		t.Error("its condition does not say that it is older")
	}
	closeStore(t, s)
	if epoch := epochOf(t, p.open(t, false)); epoch.Number != 2 {
		t.Errorf("opened again, it has the epoch %+v", epoch)
	}
}

// Of an older store each account has one guess, because what was counted since is not known. A record that cannot be read stays as it is.
func TestAccountsOfOlderStoreHaveOneGuess(t *testing.T) {
	t.Parallel()
	const accounts, attempts = 2*olderPage + 1, 3
	p := pastStore{dir: filepath.Join(t.TempDir(), "data"), copied: filepath.Join(t.TempDir(), "copy.db")}
	s := openWith(t, p.dir, builtIn())
	unreadable := benchWrite(0, 1) // whose body is no record
	must(t, s.Create(t.Context(), unreadable))
	for n := range accounts {
		w := benchWrite(1000+n, 1)
		w.Row.Body, w.Row.Secrets = []byte(`{"schema":1}`), secret.Bytes{}
		must(t, s.Create(t.Context(), w))
	}
	must(t, s.Backup(t.Context(), p.copied, quiet))
	writeRow(t, s, 0)
	closeStore(t, s)
	p.goBack(t)
	s, err := Open(t.Context(), Options{Dir: p.dir, Guard: otp.GuardLimits{Attempts: attempts}})
	must(t, err)
	defer closeStore(t, s)
	rows, err := s.List(t.Context(), "", accounts+1)
	if err != nil || len(rows) != accounts+1 || rows[0].Account != unreadable.Row.Account || rows[0].Revision != 1 {
		t.Fatalf("there are %d records, the first of which is %+v (%v)", len(rows), rows[0], err)
	}
	for _, row := range rows[1:] {
		if r, err := otp.Decode(row); err != nil || r.Guard.Wrong != attempts-1 || r.Revision != 2 {
			t.Fatalf("%s has %+v left (%v)", row.Account, r.Guard, err)
		}
	}
}

// An older store whose devices cannot be put in doubt is not opened, and nothing of it is changed.
func TestOlderStoreThatCannotBePutInDoubt(t *testing.T) {
	t.Parallel()
	p := newPastStore(t)
	executing("CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'refused by the test'); END")(t, p.copied)
	p.goBack(t)
	if s, err := Open(t.Context(), Options{Dir: p.dir}); err == nil || !strings.Contains(err.Error(), "cannot be put in doubt") {
		t.Errorf("opening it: %v", err)
		closeStore(t, s)
	}
	executing("DROP TRIGGER refuse")(t, filepath.Join(p.dir, FileName))
	if epoch := epochOf(t, p.open(t, false)); epoch.Number != 2 {
		t.Errorf("opened after that, it has the epoch %+v", epoch)
	}
}

// An older store whose devices another process has put in doubt meanwhile is not put in doubt again.
func TestOlderStoreIsPutInDoubtOnce(t *testing.T) {
	t.Parallel()
	p := newPastStore(t)
	s := p.open(t, false)
	onWriter(t, s, func(c *conn) {
		if err := doubtOlder(c, s.writer.path, otp.GuardLimits{}); err != nil {
			t.Error(err)
		}
	})
	if epoch := epochOf(t, s); epoch.Number != 1 {
		t.Errorf("it has the epoch %+v", epoch)
	}
}

// A store that has lost the row of its epoch has none, as its records say, too.
func TestStoreWithoutEpoch(t *testing.T) {
	t.Parallel()
	s := newPastStore(t).open(t, false)
	execute(t, s, "DELETE FROM doubt_epoch")
	if epoch, err := s.Epoch(t.Context()); err != nil || epoch != (otp.Epoch{}) {
		t.Errorf("the epoch is %+v (%v)", epoch, err)
	}
}

// The doubt epoch of an older store goes on behind the one that the newer store had.
func TestEpochOfOlderStoreDoesNotFall(t *testing.T) {
	t.Parallel()
	p := newPastStore(t)
	s := p.open(t, false)
	for range 2 {
		if err := s.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "doubt-all", Stage: otp.StageOutcome}); err != nil {
			t.Fatal(err)
		}
	}
	newer := epochOf(t, s).Number
	closeStore(t, s)
	p.goBack(t)
	if epoch := epochOf(t, p.open(t, false)); epoch.Number != newer+1 {
		t.Errorf("the older store has the epoch %d, and the newer one had %d", epoch.Number, newer)
	}
}

func TestInspectingAnOlderStoreChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPastStore(t)
	p.goBack(t)
	for range 2 {
		s := p.open(t, true)
		if epoch, older := epochOf(t, s), s.Condition(t.Context()).Older; epoch.Number != 1 || older == "" {
			t.Errorf("it has the epoch %+v, and is %q", epoch, older)
		}
		closeStore(t, s)
	}
	if err := Check(t.Context(), p.dir); err != nil {
		t.Error(err)
	}
	if epoch := epochOf(t, p.open(t, false)); epoch.Number != 2 {
		t.Errorf("opened after that, it has the epoch %+v", epoch)
	}
}

func TestStoreOfAnotherDirectoryBeginsInDoubt(t *testing.T) {
	t.Parallel()
	p, other := newPastStore(t), newPastStore(t)
	p.copied = other.copied
	p.goBack(t)
	for range 2 {
		s := p.open(t, false)
		if epoch := epochOf(t, s); epoch.Number != 2 {
			t.Errorf("it has the epoch %+v", epoch)
		}
		closeStore(t, s)
	}
}

// What the data directory has recorded proves nothing where it cannot be read.
func TestPositionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(text []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut off":       func(text []byte) []byte { return text[:len(text)/2] },
		"half written":  func(text []byte) []byte { text[40]++; return text },
		"written twice": func(text []byte) []byte { return append(text, text...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPastStore(t)
			p.goBack(t)
			path := filepath.Join(p.dir, LastSeenName)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if epoch := epochOf(t, p.open(t, false)); epoch.Number != 1 {
				t.Errorf("the store has the epoch %+v", epoch)
			}
		})
	}
}

// A database that does not say which store it is has no position.
func TestDatabaseWithoutPosition(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	onWriter(t, s, func(c *conn) {
		if _, err := readPositionOf(c); err != nil {
			t.Errorf("of a store: %v", err)
		}
		if _, err := c.exec("DELETE FROM store"); err != nil {
			t.Error(err)
		}
		if p, err := readPositionOf(c); err == nil {
			t.Errorf("without the id of the store: %+v", p)
		}
	})
}

// A position that cannot be written is not taken for recorded, and one that was, is not written again.
func TestPositionThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	l := &lastSeen{path: "/dev/full", owner: "/dev/full"}
	p := position{store: "id", line: 7}
	if err := l.record(p); !errors.Is(err, syscall.ENOSPC) || l.recorded == p {
		t.Errorf("on a full disk: %v, recorded: %+v", err, l.recorded)
	}
	l.path, l.owner = filepath.Join(t.TempDir(), LastSeenName), t.TempDir()
	must(t, l.record(p))
	must(t, os.Remove(l.path))
	must(t, l.record(p))
	if _, err := os.Stat(l.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the position is written again: %v", err)
	}
}

// A process that is killed has recorded how far its store had come a few seconds before.
func TestPositionIsRecordedWhileTheStoreIsOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		s := openWith(t, dir, builtIn())
		defer closeStore(t, s)
		if err := s.Create(t.Context(), benchWrite(1, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastSeenEvery + time.Second)
		synctest.Wait()
		if seen := readLastSeen(filepath.Join(dir, LastSeenName)); seen.line == 0 || seen.store != s.health.id {
			t.Errorf("after %v the directory has recorded %+v", lastSeenEvery, seen)
		}
	})
}
