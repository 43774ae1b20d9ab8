package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

// A reserve that is there is used as it is, down to the smallest that a settle needs. A smaller one is made again.
func TestReserveThatIsThere(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{0, smallestReserve - 1, smallestReserve, smallestReserve + 1} {
		dir := t.TempDir()
		path := filepath.Join(dir, ReserveName)
		must(t, os.WriteFile(path, make([]byte, size), 0o600))
		r := openReserve(dir)
		info, err := os.Stat(path)
		must(t, err)
		if r.missing.Load() || info.Size() != r.size || (r.size == size) != (size >= smallestReserve) {
			t.Errorf("of %d bytes: it has %d, is to have %d, and is missing: %t", size, info.Size(), r.size, r.missing.Load())
		}
	}
}
