package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFileSystemsThatCannotCarryAStore(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{
		unix.NFS_SUPER_MAGIC:       "NFS",
		unix.CIFS_SUPER_MAGIC:      "CIFS",
		unix.SMB2_SUPER_MAGIC:      "SMB",
		unix.V9FS_MAGIC:            "9p",
		unix.FUSE_SUPER_MAGIC:      "FUSE",
		unix.EXT4_SUPER_MAGIC:      "",
		unix.XFS_SUPER_MAGIC:       "",
		unix.BTRFS_SUPER_MAGIC:     "",
		unix.F2FS_SUPER_MAGIC:      "",
		unix.OVERLAYFS_SUPER_MAGIC: "",
		unix.TMPFS_MAGIC:           "",
		0x2fc12fc1:                 "", // ZFS
	} {
		err := judgeFileSystem("/data", magic)
		switch {
		case want == "" && err != nil:
			t.Errorf("%#x: %v", magic, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PIMSD_DATA_DIR")):
			t.Errorf("%#x: %v, want an error that names %s and the setting", magic, err, want)
		}
	}
	if err := checkFileSystem(t.TempDir()); err != nil {
		t.Errorf("where the tests run: %v", err)
	}
	if err := checkFileSystem("/data/that/is/not/there"); err == nil {
		t.Error("a directory that is not there has a file system")
	}
}

// Who holds a descriptor of the database holds its locks: a store that is closed, or was refused, must have none.
func TestClosedMeansClosed(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	expectNoneOpen(t, dir)
	for _, m := range []migrations{
		later("DROP TABLE cats"),  // fails
		later("DROP TABLE probe"), // goes well, but then the writer's statements cannot be prepared
		builtIn(),                 // by now, the schema is one to come
	} {
		if _, err := openOrCreate(t.Context(), Options{Dir: dir}, m); err == nil {
			t.Error("the store is opened")
		}
		expectNoneOpen(t, dir)
	}
}

func expectNoneOpen(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.HasPrefix(target, dir) {
			t.Errorf("%s is open", target)
		}
	}
}

func TestPreallocatedFileHasItsBlocks(t *testing.T) {
	t.Parallel()
	const size = 1 << 16
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	must(t, err)
	defer func() { must(t, file.Close()) }()
	if done, err := preallocate(file, size); !done || err != nil {
		t.Errorf("it is preallocated: %t, %v", done, err)
	}
	if info, err := file.Stat(); err != nil || info.Size() != size {
		t.Errorf("the file: %v, %v, want %d bytes", info, err, size)
	}
}
