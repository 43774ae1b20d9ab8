package sqlite

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	library "modernc.org/sqlite/lib"
)

// thawing waits in a system call until the file system takes writes, just before SQLite writes to its shared memory.
//
// The shared memory is a mapped file next to the database. When the kernel has written one of its pages back, as it does when a
// file system is frozen for a snapshot, the next write to the page is a fault that waits for the thaw. The garbage collector cannot
// stop a thread in such a fault, and has to stop all threads that run Go, as SQLite's code here is. So one fault would stop the
// process, with answers of inWebo that it has not read yet. A thread in a system call stops no other.
//
// SQLite writes to its shared memory after it has got an exclusive lock in it, and after it has synced the log. At both moments
// thawing writes nothing to the file in question, which takes as long as the file system is frozen. A freeze that begins and ends
// its work within the microseconds between that and SQLite's write still stops the process. Contents and locks are left as they are.
type thawing struct {
	open openFunc // of SQLite's own virtual file system

	mu     sync.Mutex
	tables map[uintptr]uintptr // the addresses of tables with the methods below, by that of the original
	kept   []any               // functions that only SQLite's memory refers to
}

// The functions of SQLite's virtual file system, as C has them.
type (
	openFunc  func(tls *libc.TLS, vfs, path, file uintptr, flags int32, outFlags uintptr) int32
	writeFunc func(tls *libc.TLS, file, from uintptr, size int32, offset int64) int32
	syncFunc  func(tls *libc.TLS, file uintptr, flags int32) int32
	lockFunc  func(tls *libc.TLS, file uintptr, offset, n, flags int32) int32
)

// waitForThaw has all connections that are opened from now on wait for a frozen file system in system calls. SQLite's registry of
// file systems is one for the process, and refers to what is returned for as long as that lasts.
//
//nolint:gochecknoglobals // it is called once, whichever connection is the first
var waitForThaw = sync.OnceValue(func() *thawing {
	tls := libc.NewTLS()
	defer tls.Close()
	original := library.Xsqlite3_vfs_find(tls, 0)
	if original == 0 {
		return nil // opening a database will say why
	}
	name, err := libc.CString("thawing")
	if err != nil {
		return nil
	}
	vfs := *at[library.Tsqlite3_vfs](original)
	t := &thawing{open: function[openFunc](vfs.FxOpen), tables: map[uintptr]uintptr{}}
	vfs.FpNext, vfs.FzName, vfs.FxOpen = 0, name, pointer(t, openFunc(t.openFile))
	library.Xsqlite3_vfs_register(tls, allocate(tls, vfs), 1)
	return t
})

// openFile opens a file. A database and its log get the methods that wait.
func (t *thawing) openFile(tls *libc.TLS, vfs, path, file uintptr, flags int32, outFlags uintptr) int32 {
	code := t.open(tls, vfs, path, file, flags, outFlags)
	if code == library.SQLITE_OK && flags&(library.SQLITE_OPEN_MAIN_DB|library.SQLITE_OPEN_WAL) != 0 {
		methods := &at[library.Tsqlite3_file](file).FpMethods
		*methods = t.table(tls, *methods)
	}
	return code
}

// table returns the address of the methods that wait, for a file that has the methods at the original address.
func (t *thawing) table(tls *libc.TLS, original uintptr) uintptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.tables[original]; known != 0 {
		return known
	}
	methods := *at[library.Tsqlite3_io_methods](original)
	write := function[writeFunc](methods.FxWrite)
	sync := function[syncFunc](methods.FxSync)
	methods.FxSync = pointer(t, syncFunc(func(tls *libc.TLS, file uintptr, flags int32) int32 {
		code := sync(tls, file, flags)
		write(tls, file, 0, 0, 0)
		return code
	}))
	if methods.FxShmLock != 0 { // a log has none
		lock := function[lockFunc](methods.FxShmLock)
		methods.FxShmLock = pointer(t, lockFunc(func(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
			code := lock(tls, file, offset, n, flags)
			if code == library.SQLITE_OK && flags == library.SQLITE_SHM_LOCK|library.SQLITE_SHM_EXCLUSIVE {
				write(tls, file, 0, 0, 0)
			}
			return code
		}))
	}
	t.tables[original] = allocate(tls, methods)
	return t.tables[original]
}

// at returns what is at an address of SQLite's memory, which the garbage collector does not know.
func at[T any](address uintptr) *T {
	return *(**T)(unsafe.Pointer(&address)) //nolint:gosec // SQLite's code is C, and so are its references
}

// allocate copies a value to SQLite's memory, where it stays, and returns its address. SQLite's code must not refer to Go's memory: the
// race detector's checks of pointers stop the process.
func allocate[T any](tls *libc.TLS, value T) uintptr {
	address := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(value)))
	*at[T](address) = value
	return address
}

// function returns the function that SQLite's code refers to by an address.
func function[F any](address uintptr) F {
	return *(*F)(unsafe.Pointer(&address)) //nolint:gosec // as above
}

// pointer returns the address by which SQLite's code refers to a function, which t keeps.
func pointer[F any](t *thawing, f F) uintptr {
	t.kept = append(t.kept, f)
	return *(*uintptr)(unsafe.Pointer(&f)) //nolint:gosec // as above
}
