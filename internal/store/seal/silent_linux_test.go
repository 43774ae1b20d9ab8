package seal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/store/seal"
)

// A key file whose file system does not answer any more keeps no record from being sealed: an answer of inWebo may wait for
// that. The keyring says what is wrong, and follows the file again when it answers.
func TestKeyFileThatDoesNotAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), seal.FileName)
	keyring := openFile(t, path, true)
	folder, answer := silentFolder(t)
	must(t, os.Rename(path, path+".away"))
	must(t, os.Symlink(filepath.Join(folder, seal.FileName), path))
	time.Sleep(time.Second) // after which the keyring looks again before it seals

	sealed := make(chan []byte)
	go func() {
		for range 3 { // the first looks, and later ones find its look under way
			sealed <- keyring.Seal(seal.Secrets, "alice", vault("x"))
		}
	}()
	for range 3 {
		select {
		case text := <-sealed:
			if opened, err := keyring.Open(seal.Secrets, "alice", text); err != nil || string(opened.Reveal()) != "x" {
				t.Errorf("what was sealed meanwhile: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("nothing is sealed while the key file does not answer")
		}
	}
	if err := keyring.Fault(); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("and the ring says: %v", err)
	}

	answer()
	must(t, os.Remove(path))
	must(t, os.Rename(path+".away", path))
	for deadline := time.Now().Add(time.Minute); keyring.Fault() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("when the file is back: %v", keyring.Fault())
		}
	}
}

// silentFolder mounts a file system that answers nothing, until answer is called: then it answers everything with an error.
func silentFolder(t *testing.T) (folder string, answer func()) {
	t.Helper()
	folder = t.TempDir()
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no file system can be made: ", err)
	}
	answer = func() { _ = unix.Close(device) }
	if err := unix.Mount("silent", folder, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)); err != nil {
		answer()
		t.Skip("no file system can be mounted: ", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(folder, unix.MNT_DETACH)) })
	return folder, answer
}
