package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A file that another process makes while the backup is written is not replaced, and the backup fails.
func TestBackupWhenItsFileIsMadeMeanwhile(t *testing.T) {
	t.Parallel()
	_, s := newDir(t)
	defer closeStore(t, s)
	for range 100 {
		path := filepath.Join(t.TempDir(), "backup.db")
		made := make(chan bool)
		go func() {
			for !isThere(path+partialSuffix) && !isThere(path) {
				time.Sleep(10 * time.Microsecond)
			}
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			_ = file.Close()
			made <- err == nil
		}()
		err := s.Backup(t.Context(), path, quiet)
		if !<-made {
			continue // the backup was faster
		}
		if err == nil || !strings.Contains(err.Error(), "was made by another process") {
			t.Errorf("the backup returns %v", err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != 0 || !slices.Equal(namesIn(t, filepath.Dir(path)), []string{"backup.db"}) {
			t.Errorf("the file is %v (%v), next to %v", info, err, namesIn(t, filepath.Dir(path)))
		}
		return
	}
	t.Fatal("no file was made while a backup was written")
}

// A backup reports how far it is.
func TestProgressOfBackup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file, err := openPartial(filepath.Join(t.TempDir(), "partial"))
		must(t, err)
		defer file.Close()
		must(t, file.Truncate(3))
		var reports [][2]int64
		stop := reportGrowth(file.Name(), 10, func(done, total int64) { reports = append(reports, [2]int64{done, total}) })
		time.Sleep(5 * time.Second) // by the clock of the test
		stop()
		if want := [][2]int64{{3, 10}, {3, 10}}; !slices.Equal(reports, want) {
			t.Errorf("reported is %v, want %v", reports, want)
		}
	})
}

// A backup of the first schema is one.
func TestBackupOfFirstSchema(t *testing.T) {
	t.Parallel()
	path, err := findOrMakeDatabase(filepath.Join(t.TempDir(), "data"))
	must(t, err)
	if _, err := builtIn().checkCopy(t.Context(), path, asWritten); err == nil || !strings.Contains(err.Error(), "is no store of pimsd") {
		t.Errorf("an empty file: %v", err)
	}
	must(t, builtIn()[:1].bringUpToDate(t.Context(), path, nil))
	if version, err := builtIn().checkCopy(t.Context(), path, asWritten); err != nil || version != 1 {
		t.Errorf("it has version %d (%v)", version, err)
	}
}

// A copy that was not written to its end is an error.
func TestCopyThatEnds(t *testing.T) {
	t.Parallel()
	c, err := openReadOnly(filepath.Join(oldStore(t), FileName), "")
	must(t, err)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := c.copyTo(ctx, filepath.Join(dir, "copy")); !errors.Is(err, context.Canceled) {
		t.Errorf("it returns %v", err)
	}
	if left := namesIn(t, dir); len(left) != 0 {
		t.Errorf("it leaves %v", left)
	}
}

// The file for a backup that arrives is empty, and for its owner alone.
func TestFileForBackupThatArrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := NewReceived(dir)
	must(t, err)
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Mode() != 0o600 || info.Size() != 0 || filepath.Dir(file.Name()) != dir {
		t.Errorf("%s is %v (%v)", file.Name(), info, err)
	}
	if _, err := NewReceived(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a data directory: %v", err)
	}
}

// The time of a backup that cannot be recorded is an error.
func TestTimeOfBackupThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	defer closeStore(t, s)
	must(t, os.Mkdir(filepath.Join(dir, LastBackupName), 0o700))
	if err := s.RecordBackup(now()); err == nil || !strings.Contains(err.Error(), "record the time of the backup") {
		t.Errorf("it returns %v", err)
	}
}

// A migration needs twice the room of the store: for its backup, and for what it writes.
func TestRoomToMigrate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "database")
	if err := checkRoomToMigrate(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a store: %v", err)
	}
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, checkRoomToMigrate(path))
	free, known := freeSpace(filepath.Dir(path))
	if !known {
		t.Skip("it is not known how much room there is")
	}
	must(t, os.Truncate(path, free/4*3)) // which takes no room
	if err := checkRoomToMigrate(path); err == nil || !strings.Contains(err.Error(), "the migration of the store") {
		t.Errorf("with room for one and a third of it: %v", err)
	}
}
