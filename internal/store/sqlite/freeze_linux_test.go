package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// A file system that is frozen, as for a snapshot, holds up what needs it, and nothing else of the process: the garbage collector
// still stops and starts all threads. That takes a file system of its own, and so a machine that lets this user mount one.
func TestFrozenFileSystem(t *testing.T) {
	t.Parallel()
	mounted := mountExt4(t)
	child := process(t, "frozen", mounted)
	said, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	collected := make(chan bool, 1)
	go func() { collected <- bufio.NewScanner(said).Scan() }()
	select {
	case <-collected:
	case <-time.After(20 * time.Second):
		t.Error("the process stands still while the file system is frozen")
		if err := control(mounted, thaw); err != nil {
			t.Fatal(err)
		}
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

// freezeWhileReading is a process whose reader has to write to SQLite's shared memory while the file system is frozen.
func freezeWhileReading(ctx context.Context, mounted string) error {
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: filepath.Join(mounted, "data")})
	if err != nil {
		return err
	}
	_, err = put(ctx, store, "alice")
	_, listed := store.List(ctx, "", 1) // the reader's mark in the log
	_, again := put(ctx, store, "alice")
	if err := errors.Join(err, listed, again, control(mounted, freeze)); err != nil {
		return err
	}
	read := make(chan error)
	go func() {
		_, err := store.List(ctx, "", 1)
		read <- err
	}()
	for !isBlocked() {
		runtime.Gosched()
	}
	runtime.GC()
	fmt.Println("collected")
	if err := control(mounted, thaw); err != nil {
		return err
	}
	return errors.Join(<-read, store.Close())
}

// isBlocked reports whether a thread of this process waits for a disk.
func isBlocked() bool {
	tasks, _ := filepath.Glob("/proc/self/task/*/stat")
	for _, task := range tasks {
		stat, _ := os.ReadFile(task) // of a thread that has ended there is none
		if _, state, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(state, "D") {
			return true
		}
	}
	return false
}

// The requests of ioctl, which are FIFREEZE and FITHAW in linux/fs.h.
const (
	freeze = 0xc0045877
	thaw   = 0xc0045878
)

func control(mounted string, request uint) error {
	dir, err := os.Open(mounted)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.IoctlSetInt(int(dir.Fd()), request, 0)
}

// mountExt4 mounts a small ext4 file system in a file.
func mountExt4(t *testing.T) (dir string) {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	file, err := os.Create(image)
	if err == nil {
		err = errors.Join(file.Truncate(64<<20), file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
		var said strings.Builder
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = io.Discard, &said
		if err := cmd.Run(); err != nil {
			t.Skipf("this machine lets no file system be mounted here: %s: %v: %s", command[0], err, said.String())
		}
	}
	t.Cleanup(func() {
		if err := exec.Command("umount", dir).Run(); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
