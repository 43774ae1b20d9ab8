package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Of a directory that was quiet for long, only the directory is looked at; a file that is moved out of it, or replaced,
// is missed all the same, even by who sets the directory's times back.
func TestAQuietDirectory(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(database string) error{
		"moved":    func(database string) error { return os.Rename(database, database+".old") },
		"replaced": func(database string) error { return os.Rename(database+"-wal", database) },
		"restored with its times": func(database string) error {
			directory, err := os.Stat(filepath.Dir(database))
			if err != nil {
				return err
			}
			restored := os.Rename(database+"-wal", database)
			return errors.Join(restored, os.Chtimes(filepath.Dir(database), directory.ModTime(), directory.ModTime()))
		},
		"moved with its directory": func(database string) error {
			directory := filepath.Dir(database)
			return os.Rename(directory, directory+".old")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := filepath.Join(t.TempDir(), "data")
			database := filepath.Join(directory, "pimsd.db")
			if err := os.Mkdir(directory, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.WriteFile(database+suffix, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			files, err := identify(database)
			if err != nil {
				t.Fatal(err)
			}
			mustBeSame(t, files, false) // what has just changed may change again at the same time
			time.Sleep(coarse + time.Second/10)
			mustBeSame(t, files, true)
			mustBeSame(t, files, true)
			if err := disturb(database); err != nil {
				t.Fatal(err)
			}
			if files.check() == nil {
				t.Error("nothing is missed")
			}
		})
	}
}

// mustBeSame wants that no file is missed, and that the directory is believed from then on or not.
func mustBeSame(t *testing.T, files *identity, believed bool) {
	t.Helper()
	if err := files.check(); err != nil || files.unchanged.IsZero() == believed {
		t.Fatalf("%v; the directory was last changed at %v", err, files.unchanged)
	}
}

// unknown is a file whose file system has no times for it.
type unknown struct{ os.FileInfo }

func (unknown) Sys() any { return &syscall.Stat_t{} }

// A directory that never says when it changed is never believed.
func TestADirectoryWithoutTimes(t *testing.T) {
	t.Parallel()
	if at := changedAt(unknown{}); !at.IsZero() {
		t.Errorf("it last changed at %v", at)
	}
}
