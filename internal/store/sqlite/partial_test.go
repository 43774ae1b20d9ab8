package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

// A file that another process has renamed, removed or replaced since it was opened is not the one at its path.
func TestFileThatIsNoLongerAtItsPath(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(path string) error
		want   bool
	}{
		"unchanged": {func(string) error { return nil }, true},
		"removed":   {os.Remove, false},
		"replaced": {func(path string) error {
			return os.Rename(filepath.Join(filepath.Dir(path), "another"), path)
		}, false},
	} {
		dir := t.TempDir()
		writeFile(t, dir, "partial", "")
		writeFile(t, dir, "another", "")
		path := filepath.Join(dir, "partial")
		file, err := os.Open(path)
		must(t, err)
		must(t, tc.change(path))
		if got := isAt(file, path); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
		must(t, file.Close())
	}
}
