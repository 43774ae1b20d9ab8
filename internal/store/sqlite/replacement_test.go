package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

func quiet(int64, int64) {}

// newDir returns the data directory of a new store, which is open.
func newDir(t *testing.T) (dir string, s *Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	s, err := OpenOrCreate(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return dir, s
}

func backUpTo(t *testing.T, s *Store) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), path, quiet); err != nil {
		t.Fatal(err)
	}
	return path
}

func addKey(t *testing.T, s *Store, id string) {
	t.Helper()
	key := authn.Key{ID: id, Hash: sha256.Sum256([]byte(id)), CreatedAt: now()}
	key.Backend = true
	key.Scopes, _ = authn.ParseScopes([]string{"otp"})
	if err := s.AddKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// install replaces the store in the directory by the backup as it is, with what belongs to no record.
func install(t *testing.T, dir, backup string) (aside string, unreadable error) {
	t.Helper()
	r, err := Replace(t.Context(), dir, backup)
	if err != nil {
		t.Fatal(err)
	}
	if r.Unreadable() == nil {
		if _, err := r.CarryOver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Seal(t.Context(), otp.AuditEntry{Action: "restore", Stage: otp.StageOutcome}); err != nil {
		t.Fatal(err)
	}
	if aside, err = r.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	unreadable = r.Unreadable()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return aside, unreadable
}

// namesIn returns the names in a directory, but for the reserve.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ReserveName {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestBackupIsWholePrivateAndNew(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	defer closeStore(t, s)
	writeRow(t, s, 1)
	path := backUpTo(t, s)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup is %v (%v)", info.Mode(), err)
	}
	if got := namesIn(t, filepath.Dir(path)); !slices.Equal(got, []string{"backup.db"}) {
		t.Errorf("beside the backup there is %q", got)
	}
	if version, err := builtIn().checkCopy(t.Context(), path, asWritten); err != nil || version != len(builtIn()) {
		t.Errorf("the backup has version %d (%v)", version, err)
	}
	if err := s.Backup(t.Context(), path, quiet); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second backup to the same file: %v", err)
	}
	stream, err := s.OpenBackup(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if info, err := stream.Stat(); err != nil || info.Size() == 0 {
		t.Errorf("the stream has %v (%v)", info, err)
	}
	got := slices.DeleteFunc(namesIn(t, dir), func(name string) bool { return name == LastSeenName }) // which is written in the background
	if !slices.Equal(got, []string{FileName, FileName + "-shm", FileName + "-wal"}) {
		t.Errorf("in the data directory there is %q", got)
	}
}

// A backup that is interrupted leaves nothing behind, and one that was killed does not keep the next one from its name.
func TestBackupThatEnds(t *testing.T) {
	t.Parallel()
	_, s := newDir(t)
	defer closeStore(t, s)
	path := filepath.Join(t.TempDir(), "backup.db")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, path, quiet); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted backup returns %v", err)
	}
	if got := namesIn(t, filepath.Dir(path)); len(got) > 0 {
		t.Errorf("it leaves %q", got)
	}
	if err := os.WriteFile(path+partialSuffix, []byte("what a killed one has left"), 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := openPartial(path + partialSuffix)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path, quiet); !errors.Is(err, errPartialBusy) {
		t.Errorf("a backup beside another one returns %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path, quiet); err != nil {
		t.Errorf("after a killed backup: %v", err)
	}
}

// No damage of a store ends in a backup that has a name.
func TestBackupOfADamagedStore(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	writeRow(t, s, 1)
	closeStore(t, s)
	damage(t, dir, "device")
	s = openDamaged(t, dir)
	defer closeStore(t, s)
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), path, quiet); !isDamage(err) {
		t.Errorf("the backup returns %v", err)
	}
	if got := namesIn(t, filepath.Dir(path)); len(got) > 0 {
		t.Errorf("it leaves %q", got)
	}
}

func TestReplacingAStore(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	for _, id := range []string{"stays", "revoked since"} {
		addKey(t, s, id)
	}
	writeRow(t, s, 1)
	if err := s.Replace(t.Context(), withResponse(2)); err != nil {
		t.Fatal(err)
	}
	backup := backUpTo(t, s)
	if err := s.Replace(t.Context(), withResponse(3)); err != nil {
		t.Fatal(err)
	}
	addKey(t, s, "added since")
	if err := s.RevokeKey(t.Context(), "revoked since", now()); err != nil {
		t.Fatal(err)
	}
	before, err := s.AuditAfter(t.Context(), 0, math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(t.Context(), dir, backup); !errors.Is(err, ErrInUse) {
		t.Errorf("while the store is open: %v", err)
	}
	closeStore(t, s)

	aside, unreadable := install(t, dir, backup)
	if unreadable != nil {
		t.Errorf("the replaced store: %v", unreadable)
	}
	if got := namesIn(t, dir); !slices.Equal(got, []string{FileName, filepath.Base(aside)}) {
		t.Errorf("in the data directory there is %q", got)
	}
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	account := benchWrite(1, 1).Row.Account
	if n := revision(t, s, account); n != 2 {
		t.Errorf("the account has revision %d, want that of the backup", n)
	}
	keys, err := s.ListKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revoked := map[string]bool{}
	for _, key := range keys {
		revoked[key.ID] = !key.RevokedAt.IsZero()
	}
	if want := map[string]bool{"stays": false, "revoked since": true, "added since": false}; fmt.Sprint(revoked) != fmt.Sprint(want) {
		t.Errorf("revoked are %v, want %v", revoked, want)
	}
	for _, key := range []string{fmt.Sprintf("%064d", 2), fmt.Sprintf("%064d", 3)} {
		if found, err := storetest.Snapshot(t.Context(), s, account, key); err != nil || found.Response == nil || !found.Response.Answer.IsEmpty() {
			t.Errorf("the key of a repeatable call is %+v (%v), want it spent", found.Response, err)
		}
	}
	after, err := s.AuditAfter(t.Context(), 0, math.MaxInt32)
	if err != nil || len(after) != len(before)+1 || !slices.Equal(after[:len(before)], before) || after[len(before)].Action != "restore" {
		t.Errorf("the audit log is %+v (%v), want %+v and a line", after, err, before)
	}
	if last, want := after[len(after)-1].ID, before[len(before)-1].ID+1; last != want {
		t.Errorf("the line has the id %d, want %d", last, want)
	}
}

// A restore enables no account that was disabled after the backup, in whatever state its record is.
func TestRestoredAccountStaysDisabled(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	for account := range 3 {
		if err := s.Create(t.Context(), benchWrite(account, 1)); err != nil {
			t.Fatal(err)
		}
	}
	backup := backUpTo(t, s)
	for account := range 2 {
		w, disabled := benchWrite(account, 2), true
		w.Disabled = &disabled
		if err := s.Replace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	spoil(t, dir, "UPDATE device SET body = x'7b' WHERE account = 'account 1'")
	if _, unreadable := install(t, dir, backup); unreadable != nil {
		t.Fatal(unreadable)
	}
	rows, err := openWith(t, dir, builtIn()).List(t.Context(), "", 10)
	if err != nil || len(rows) != 3 || !rows[0].Disabled || !rows[1].Disabled || rows[2].Disabled {
		t.Errorf("the restored rows are %+v (%v)", rows, err)
	}
}

// As long as a replacement is open, nothing else opens the store; given up, it leaves the store as it was.
func TestReplacementGivenUp(t *testing.T) {
	t.Parallel()
	dir, r := newReplacement(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Options{Dir: dir}); err == nil {
		t.Error("the store is opened meanwhile")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	wantRevision(t, dir, 2)
	if got := namesIn(t, dir); slices.Contains(got, FileName+replacementSuffix) {
		t.Errorf("in the data directory there is %q", got)
	}
}

// Between the end of its log and the rename, no process can begin to write to the database that is about to be replaced.
func TestReplacedStoreStaysLocked(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	writeRow(t, s, 1)
	backup := backUpTo(t, s)
	closeStore(t, s)
	r, err := Replace(t.Context(), dir, backup)
	must(t, err)
	must(t, r.finish(t.Context()))
	must(t, r.foldLog())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Options{Dir: dir}); err == nil {
		t.Error("the store is opened meanwhile")
	}
	_, err = r.installOver("now")
	must(t, errors.Join(err, r.Close()))
	closeStore(t, openWith(t, dir, builtIn()))
}

// Whatever is there of a store that cannot be read, it is replaced, and all of it is kept.
func TestReplacingWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, dir string)
		kept  int // files
	}{
		"garbage": {func(t *testing.T, dir string) {
			writeFile(t, dir, FileName, "garbage that is long enough to be a database header, and more of it: 0123456789")
		}, 1},
		"an empty file": {func(t *testing.T, dir string) { writeFile(t, dir, FileName, "") }, 1},
		"an empty file with a log": {func(t *testing.T, dir string) {
			writeFile(t, dir, FileName, "")
			writeFile(t, dir, FileName+"-wal", "log")
		}, 2},
		"nothing": {func(t *testing.T, dir string) { removeDatabase(t, dir) }, 0},
		"a log alone": {func(t *testing.T, dir string) {
			removeDatabase(t, dir)
			writeFile(t, dir, FileName+"-wal", "log")
		}, 1},
		"the log of another": {mixWithLog, 2},
		"another store": {func(t *testing.T, dir string) {
			removeDatabase(t, dir)
			_, s := newDir(t)
			closeStore(t, s)
			must(t, os.Rename(s.writer.path, filepath.Join(dir, FileName)))
		}, 1},
		"a store of a later pimsd": {func(t *testing.T, dir string) {
			executing("PRAGMA user_version = 99")(t, filepath.Join(dir, FileName))
		}, 1},
		"a second name of it": {func(t *testing.T, dir string) {
			must(t, os.Link(filepath.Join(dir, FileName), filepath.Join(dir, FileName+asideInfix+"1")))
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := newDir(t)
			writeRow(t, s, 1)
			backup := backUpTo(t, s)
			writeRow(t, s, 1)
			closeStore(t, s)
			tc.spoil(t, dir)
			aside, unreadable := install(t, dir, backup)
			known := unreadable == nil
			if tc.kept < 0 {
				tc.kept, unreadable = 1, ErrUnreadable
			}
			if !errors.Is(unreadable, ErrUnreadable) {
				t.Errorf("the replaced store: %v", unreadable)
			}
			names := namesIn(t, dir)
			kept := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.Contains(name, asideInfix) })
			if len(kept) != tc.kept || len(names) != tc.kept+1 || (aside == "") != (tc.kept == 0) {
				t.Errorf("in the data directory there is %q, aside is %q", names, aside)
			}
			s = openWith(t, dir, builtIn())
			defer closeStore(t, s)
			if n := revision(t, s, benchWrite(1, 1).Row.Account); n != 1 {
				t.Errorf("the account has revision %d, want that of the backup", n)
			}
			if line := newestLine(t, s); (line.ID <= unknownIDs) != known {
				t.Errorf("the line of the restore has the id %d, and the ids before it are known: %t", line.ID, known)
			}
		})
	}
}

// mixWithLog puts a backup in the place of the database of a process that was killed.
func mixWithLog(t *testing.T, dir string) {
	t.Helper()
	s := openWith(t, dir, builtIn())
	copied := backUpTo(t, s)
	for range 3 {
		writeRow(t, s, 1)
	}
	left := files(t, dir)
	closeStore(t, s)
	data, err := os.ReadFile(copied)
	must(t, err)
	writeFile(t, dir, FileName, string(data))
	writeFile(t, dir, FileName+"-wal", string(left[FileName+"-wal"]))
	if _, err := OpenOrCreate(t.Context(), Options{Dir: dir}); err == nil {
		t.Error("the mixed store is opened")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

func removeDatabase(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(dir, FileName)))
}

// What is not a backup that can be used is refused, and says why; nothing is changed.
func TestBackupsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	writeRow(t, s, 1)
	good := backUpTo(t, s)
	closeStore(t, s)
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, backup string)
		want  string
	}{
		"missing": {func(t *testing.T, backup string) { must(t, os.Remove(backup)) }, "no such file"},
		"not a database": {func(t *testing.T, backup string) {
			must(t, os.WriteFile(backup, []byte(strings.Repeat("x", 4096)), 0o600))
		}, "not an SQLite database"},
		"of later":        {executing("PRAGMA user_version = 99"), "a later pimsd"},
		"another program": {executing("PRAGMA application_id = 7"), "no store of pimsd"},
		"damaged":         {func(t *testing.T, backup string) { damageFile(t, backup) }, "damaged"},
		"cut":             {func(t *testing.T, backup string) { must(t, os.Truncate(backup, 3*pageSize)) }, "damaged"},
		"the store itself": {func(t *testing.T, backup string) {
			must(t, os.Remove(backup))
			must(t, os.Symlink(filepath.Join(dir, FileName), backup))
		}, "the store itself"},
	} {
		t.Run(name, func(t *testing.T) {
			backup := filepath.Join(t.TempDir(), "backup.db")
			data, err := os.ReadFile(good)
			must(t, err)
			must(t, os.WriteFile(backup, data, 0o600))
			tc.spoil(t, backup)
			if _, err := Replace(t.Context(), dir, backup); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want one that says %q", err, tc.want)
			}
		})
	}
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	if n := revision(t, s, benchWrite(1, 1).Row.Account); n != 1 {
		t.Errorf("the account has revision %d", n)
	}
}

func executing(statement string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		must(t, withConn(t.Context(), path, nil, func(c *conn) error { return c.script(statement) }))
	}
}

// damageFile overwrites the last page of a database.
func damageFile(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	copy(data[len(data)-pageSize:], bytes.Repeat([]byte{0xa5}, pageSize))
	must(t, os.WriteFile(path, data, 0o600))
}

// The doubt epoch goes on also where the replaced store, which had raised it, cannot be read.
func TestEpochOfUnreadableStoreGoesOn(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	backup := backUpTo(t, s)
	for range 2 {
		must(t, s.RaiseEpoch(t.Context(), otp.AuditEntry{Action: "doubt-all", Stage: otp.StageOutcome}))
	}
	replaced := epochOf(t, s).Number
	closeStore(t, s)
	writeFile(t, dir, FileName, strings.Repeat("garbage", 100))
	if _, unreadable := install(t, dir, backup); !errors.Is(unreadable, ErrUnreadable) {
		t.Fatalf("the replaced store: %v", unreadable)
	}
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	if epoch := epochOf(t, s).Number; epoch != replaced+1 {
		t.Errorf("the epoch was %d and is %d", replaced, epoch)
	}
}

// A copy of a whole data directory is a backup with its log.
func TestBackupWithItsLog(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	for range 3 {
		writeRow(t, s, 1)
	}
	copied := put(t, files(t, dir))
	closeStore(t, s)
	if _, unreadable := install(t, dir, filepath.Join(copied, FileName)); unreadable != nil {
		t.Error(unreadable)
	}
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	if n := revision(t, s, benchWrite(1, 1).Row.Account); n != 3 {
		t.Errorf("the account has revision %d: the log of the backup is lost", n)
	}
}

func TestTheTimeOfTheLastBackupIsKept(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	if at := s.Condition(t.Context()).LastBackup; !at.IsZero() {
		t.Errorf("before the first, it is %v", at)
	}
	at := time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
	must(t, s.RecordBackup(at))
	closeStore(t, s)
	s = openWith(t, dir, builtIn())
	defer closeStore(t, s)
	if got := s.Condition(t.Context()).LastBackup; !got.Equal(at) {
		t.Errorf("it is %v", got)
	}
}

// A restore that was killed at its last step can be made again, as the error says, whether or not the database can be read by now.
func TestReplacingAfterAnInterruptedReplacement(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, string){
		"the database can be read":    func(*testing.T, string) {},
		"the database cannot be read": func(t *testing.T, dir string) { writeFile(t, dir, FileName, strings.Repeat("garbage", 100)) },
		"there is none":               func(t *testing.T, dir string) { removeDatabase(t, dir) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := newDir(t)
			writeRow(t, s, 1)
			backup := backUpTo(t, s)
			closeStore(t, s)
			spoil(t, dir)
			writeFile(t, dir, MarkerName, "")
			if _, err := OpenOrCreate(t.Context(), Options{Dir: dir}); err == nil {
				t.Error("the interrupted restore is not noticed")
			}
			_, _ = install(t, dir, backup) // what the replaced store had is of no interest here
			s, err := OpenOrCreate(t.Context(), Options{Dir: dir})
			if err != nil {
				t.Fatalf("after the restore was made again: %v", err)
			}
			closeStore(t, s)
		})
	}
}

// A restore that was killed while the database had a second name costs nothing: a check passes it, commands open it, and the start of the
// service removes that name, and no other file. A name from elsewhere is refused beside it, too.
func TestSecondNamesOfKilledRestore(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{asideInfix + "1", replacementSuffix} {
		dir, s := newDir(t)
		closeStore(t, s)
		path := filepath.Join(dir, FileName)
		must(t, os.Link(path, path+suffix))
		must(t, os.Link(path, path+asideInfix+"2")) // of another restore that was killed
		replaced := FileName + asideInfix + "0"
		writeFile(t, dir, replaced, "of a restore that ended")
		other := filepath.Join(t.TempDir(), "other")
		must(t, os.Link(path, other))
		if err := Check(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "has another name") {
			t.Errorf("%s, and a name from elsewhere: %v", suffix, err)
		}
		must(t, os.Remove(other))
		if err := Check(t.Context(), dir); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
		opened, err := Open(t.Context(), Options{Dir: dir, Inspect: true})
		if err != nil {
			t.Fatalf("%s: %v", suffix, err)
		}
		closeStore(t, opened)
		closeStore(t, openWith(t, dir, builtIn()))
		if names := namesIn(t, dir); !slices.Contains(names, replaced) || isThere(path+suffix) || isThere(path+asideInfix+"2") {
			t.Errorf("%s: the start leaves %q", suffix, names)
		}
	}
}

// A backup writes into no file but one that it has made, or that a killed backup has left.
func TestBackupWhereAnotherFileIs(t *testing.T) {
	t.Parallel()
	_, s := newDir(t)
	t.Cleanup(func() { closeStore(t, s) })
	for name, link := range map[string]func(from, to string) error{"a symbolic link": os.Symlink, "a hard link": os.Link} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, other := filepath.Join(dir, "backup.db"), filepath.Join(dir, "other")
			must(t, os.WriteFile(other, []byte("precious"), 0o600))
			must(t, link(other, path+partialSuffix))
			if err := s.Backup(t.Context(), path, quiet); err == nil || !strings.Contains(err.Error(), path+partialSuffix) {
				t.Errorf("the backup returns %v, want an error that names the link", err)
			}
			if text, err := os.ReadFile(other); err != nil || string(text) != "precious" {
				t.Errorf("the other file has %q (%v)", text, err)
			}
		})
	}
}
