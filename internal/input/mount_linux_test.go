package input_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/input"
)

// mount mounts a file system for the test. It needs root.
func mount(t *testing.T, source, kind string, flags uintptr) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := unix.Mount(source, folder, kind, flags, ""); err != nil {
		t.Skipf("this test mounts a file system, which this process may not: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	return folder
}

func write(t *testing.T, folder string, mode os.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(folder, "secret")
	if err := os.WriteFile(path, []byte("hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// onDisk returns a folder that is not on a file system in memory, where every mode of a container runtime would be accepted.
func onDisk(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp(".", "on-disk-") //nolint:usetesting // folders of tests may be on tmpfs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil || stat.Type == unix.TMPFS_MAGIC {
		t.Skipf("the sources are on a file system in memory (%v)", err)
	}
	return folder
}

func TestSecretFileOnTmpfs(t *testing.T) {
	t.Parallel()
	folder := mount(t, "tmpfs", "tmpfs", 0)
	for _, mode := range []os.FileMode{0o444, 0o644, 0o660} {
		path := write(t, folder, mode)
		file, err := input.ReadSecretFile(path, 1024)
		if err != nil || string(file.Content) != "hidden\n" || !strings.Contains(file.Warning, path) {
			t.Errorf("%#o: %q, warning %q, %v", mode, file.Content, file.Warning, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecretFileOnReadOnlyMount(t *testing.T) {
	t.Parallel()
	disk := onDisk(t)
	path := write(t, disk, 0o644)
	absolute, err := filepath.Abs(disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := input.ReadSecretFile(path, 1024); err == nil || !strings.Contains(err.Error(), "make it 0600") {
		t.Fatalf("on a disk that can be written: %v", err)
	}
	folder := mount(t, absolute, "", unix.MS_BIND)
	if err := unix.Mount("", folder, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	file, err := input.ReadSecretFile(filepath.Join(folder, "secret"), 1024)
	if err != nil || file.Warning == "" {
		t.Errorf("on a read-only mount: warning %q, %v", file.Warning, err)
	}
}
