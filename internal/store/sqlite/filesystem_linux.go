package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// checkFileSystem refuses file systems that other machines may write to, or whose locks, shared memory and syncs
// depend on a program: SQLite's write-ahead log is neither safe nor durable there.
func checkFileSystem(dir string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("find the file system of %s: %w", dir, err)
	}
	return judgeFileSystem(dir, uint32(stat.Type)) // the kernel's magic numbers have 32 bits, whatever the field has
}

func judgeFileSystem(dir string, magic uint32) error {
	if name, unsafe := unsafeFileSystems()[magic]; unsafe {
		return fmt.Errorf("%s lies on %s, where SQLite cannot keep its promises: name a directory on a local disk in "+
			"PIMSD_DATA_DIR, or use PostgreSQL by PIMSD_DATABASE_URL", dir, name)
	}
	return nil
}

// links returns how many names a file has.
func links(file os.FileInfo) uint64 {
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(stat.Nlink) //nolint:unconvert // its type depends on the architecture
}

// isMountPoint reports whether a file is itself a mount point, as in a container that gets a single file.
func isMountPoint(path string) bool {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &stat)
	return err == nil && stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// freeSpace returns how many bytes the user of the process can still write in dir.
func freeSpace(dir string) (free int64, known bool) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return int64(stat.Bavail) * stat.Bsize, true
}

// preallocate makes a file of that size that has its blocks. It is not done where the file system cannot do that: some say that
// they have, and take no blocks.
func preallocate(file *os.File, size int64) (done bool, err error) {
	switch err := unix.Fallocate(int(file.Fd()), 0, 0, size); {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return false, err
	case err != nil:
		return false, nil //nolint:nilerr // what cannot be read is no proof
	}
	const block = 512 // of st_blocks, on every file system
	var stat unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &stat)
	return err == nil && stat.Blocks*block >= size, err
}

// changedAt is when a directory last changed, and so when anything was last moved into or out of it; zero when that is not
// known, as for the root of a FAT. It is not the time of modification, which rsync and tar set back to that of the backup
// that they restore.
func changedAt(directory os.FileInfo) time.Time {
	stat, ok := directory.Sys().(*syscall.Stat_t)
	if !ok || stat.Ctim.Nano() <= 0 {
		return time.Time{}
	}
	return time.Unix(stat.Ctim.Unix())
}

// unsafeFileSystems maps what statfs(2) says to what it means.
func unsafeFileSystems() map[uint32]string {
	return map[uint32]string{
		unix.NFS_SUPER_MAGIC:   "NFS",
		unix.SMB_SUPER_MAGIC:   "SMB",
		unix.SMB2_SUPER_MAGIC:  "SMB",
		unix.CIFS_SUPER_MAGIC:  "CIFS",
		unix.V9FS_MAGIC:        "a 9p share",
		unix.FUSE_SUPER_MAGIC:  "FUSE or virtiofs",
		unix.AFS_SUPER_MAGIC:   "AFS",
		unix.AFS_FS_MAGIC:      "AFS",
		unix.CODA_SUPER_MAGIC:  "Coda",
		unix.NCP_SUPER_MAGIC:   "NCP",
		unix.CEPH_SUPER_MAGIC:  "Ceph",
		unix.OCFS2_SUPER_MAGIC: "OCFS2",
		0x01161970:             "GFS2",
		0x0bd00bd0:             "Lustre",
		0x47504653:             "GPFS",
		0x19830326:             "BeeGFS",
		0xaad7aaea:             "PanFS",
		0x013111a8:             "IBRIX",
		0x20030528:             "OrangeFS",
		0x61636673:             "ACFS",
		0xbeefdead:             "StorNext",
		0x786f4256:             "a VirtualBox share",
		0x7c7c6673:             "a Parallels share",
		0xbacbacbc:             "a VMware share",
	}
}
