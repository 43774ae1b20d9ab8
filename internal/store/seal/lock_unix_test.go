//go:build unix

package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/store/seal"
)

// A process that has the lock of the key file's directory, and does not end, keeps a change of the file waiting for a while only.
func TestLockThatIsNotReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), seal.FileName)
		keyring := openFile(t, path, true)
		folder, err := os.Open(filepath.Dir(path))
		must(t, err)
		defer folder.Close()
		must(t, syscall.Flock(int(folder.Fd()), syscall.LOCK_EX))
		if err := keyring.Promote(keyring.Current()); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("a change says %v", err)
		}
		must(t, syscall.Flock(int(folder.Fd()), syscall.LOCK_UN))
		must(t, keyring.Promote(keyring.Current()))
	})
}

// A change of the file waits for one that another process is making.
func TestLockThatIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), seal.FileName)
		keyring := openFile(t, path, true)
		folder, err := os.Open(filepath.Dir(path))
		must(t, err)
		defer folder.Close()
		must(t, syscall.Flock(int(folder.Fd()), syscall.LOCK_EX))
		changed := make(chan error)
		go func() { changed <- keyring.Promote(keyring.Current()) }()
		time.Sleep(5 * time.Second)
		must(t, syscall.Flock(int(folder.Fd()), syscall.LOCK_UN))
		if err := <-changed; err != nil {
			t.Errorf("a change during another one: %v", err)
		}
	})
}
