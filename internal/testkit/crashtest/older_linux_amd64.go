package crashtest

import "golang.org/x/sys/unix"

// olderCalls are those that other architectures never had.
func olderCalls() []int {
	return []int{unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_MKDIR, unix.SYS_UNLINK, unix.SYS_RMDIR, unix.SYS_RENAME, unix.SYS_LINK}
}

// modern returns the newer form of an older call.
func modern(number int, a [6]uint64) (int, [6]uint64) {
	switch number {
	case unix.SYS_OPEN:
		return unix.SYS_OPENAT, [6]uint64{1: a[0], 2: a[1]}
	case unix.SYS_CREAT:
		return unix.SYS_OPENAT, [6]uint64{1: a[0], 2: unix.O_CREAT | unix.O_TRUNC}
	case unix.SYS_MKDIR:
		return unix.SYS_MKDIRAT, [6]uint64{1: a[0]}
	case unix.SYS_UNLINK, unix.SYS_RMDIR:
		return unix.SYS_UNLINKAT, [6]uint64{1: a[0]}
	case unix.SYS_LINK:
		return unix.SYS_LINKAT, [6]uint64{1: a[0], 3: a[1]}
	case unix.SYS_RENAME:
		return unix.SYS_RENAMEAT, [6]uint64{1: a[0], 3: a[1]}
	}
	return number, a
}
