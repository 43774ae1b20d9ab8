package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Of a directory that was quiet for long, only the directory is looked at; a file that is moved out of it, or replaced,
// is missed all the same.
func TestAQuietDirectory(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(database string) error{
		"moved":    func(database string) error { return os.Rename(database, database+".old") },
		"replaced": func(database string) error { return os.Rename(database+"-wal", database) },
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
			longAgo := time.Now().Add(-time.Hour)
			if err := os.Chtimes(directory, longAgo, longAgo); err != nil {
				t.Fatal(err)
			}
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
