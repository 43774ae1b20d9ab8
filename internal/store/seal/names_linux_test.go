package seal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/coretest"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// Who has asked for the names of keys, and has used nothing else of this package, has nothing of the keys in memory: on no
// heap and no stack, wherever a stack had to grow for it.
func TestNamesLeaveNothingOfAKey(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection interrupts what runs, and saves its registers
	path, masked := hiddenFile(t)
	var asked, looked sync.WaitGroup
	looked.Add(1)
	for depth := range 200 {
		asked.Add(1)
		go func() {
			below(depth, func() {
				if _, err := seal.NamesInFile(path); err != nil {
					t.Error(err)
				}
			})
			asked.Done()
			looked.Wait() // so that its stack stays as it is
		}()
	}
	asked.Wait()
	memory := coretest.Near(t, &looked, 64<<20) // Go has heap and stacks in one place
	looked.Done()
	if !strings.Contains(memory, path) {
		t.Error("the memory that was looked at does not even have the file's name")
	}
	const piece = 8
	for i := range len(masked) - piece + 1 {
		if n := strings.Count(memory, string(mask(masked[i:i+piece]))); n > 0 {
			t.Errorf("the bytes of the key's file or key from %d on are in memory, %d times", i, n)
		}
	}
}

// below calls do with so many frames on the stack below the ones of its caller.
func below(frames int, do func()) {
	var frame [64]byte
	if frames == 0 {
		do()
		return
	}
	below(frames-1, do)
	_ = bytes.Clone(frame[:])
}

// hiddenFile makes a key file, and gives key and line under a mask: they are nowhere in memory.
func hiddenFile(t *testing.T) (path string, masked []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), seal.FileName)
	key := make([]byte, 32)
	_, _ = rand.Read(key) // does not fail
	text := make([]byte, base64.StdEncoding.EncodedLen(len(key)))
	base64.StdEncoding.Encode(text, key)
	must(t, os.WriteFile(path, text, 0o600))
	masked = append(mask(key), mask(text)...)
	clear(key)
	clear(text)
	return path, masked
}

// mask masks and unmasks, byte by byte: what copies more at once leaves it in registers, which may be saved anywhere.
func mask(text []byte) []byte {
	masked := make([]byte, len(text))
	for i, b := range text {
		masked[i] = b ^ 0xa5
	}
	return masked
}
