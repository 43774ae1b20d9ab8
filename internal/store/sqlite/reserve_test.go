package sqlite

import (
	"bytes"
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

// A reserve that was cut short or removed is missing, until it is made again.
func TestReserveThatWasTaken(t *testing.T) {
	t.Parallel()
	r := openReserve(t.TempDir())
	for _, take := range []func() error{
		func() error { return os.Truncate(r.path, r.size-1) },
		func() error { return os.Remove(r.path) },
	} {
		must(t, take())
		if r.check(); !r.missing.Load() {
			t.Error("what is left of it is a reserve")
		}
		must(t, r.restore())
		if r.check(); r.missing.Load() {
			t.Error("it is not made again")
		}
	}
}

// A file system that can preallocate leaves nothing to write.
func TestReserveIsPreallocated(t *testing.T) {
	t.Parallel()
	r := openReserve(t.TempDir())
	text, err := os.ReadFile(r.path)
	must(t, err)
	if len(bytes.Trim(text, "\x00")) != 0 {
		t.Error("it has been written")
	}
}
