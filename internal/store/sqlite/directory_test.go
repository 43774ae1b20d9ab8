package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A data directory that cannot be one is refused by its name, with the setting to correct.
func TestDataDirectoryThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(os.WriteFile(in("file"), nil, 0o600), os.Symlink(in("file"), in("link to a file")),
		os.Symlink("nowhere", in("dangling")), os.Symlink("loop", in("loop")), os.Mkdir(in("real"), 0o700), os.Symlink("real", in("link")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"file": "is a file", "link to a file": "is a file", "dangling": "is a symbolic link, to nowhere, which is not there",
		"loop": "cannot be reached", "file/below": "cannot be reached",
	} {
		for how, open := range map[string]func() error{
			"the service": func() error { _, err := OpenOrCreate(t.Context(), Options{Dir: in(name)}); return err },
			"a command":   func() error { _, err := Open(t.Context(), Options{Dir: in(name)}); return err },
		} {
			if err := open(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PIMSD_DATA_DIR") {
				t.Errorf("%s with %s: %v", how, name, err)
			}
		}
	}
	s, err := OpenOrCreate(t.Context(), Options{Dir: in("link")})
	if err != nil {
		t.Fatalf("a link to a directory: %v", err)
	}
	closeStore(t, s)
}
