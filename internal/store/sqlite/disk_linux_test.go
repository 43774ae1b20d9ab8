package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

func TestBrokenByASyncThatFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if err := process(t, "broken", dir).Run(); err != nil {
		t.Fatal(err)
	}
	verify(t, dir)
}

// breakBySyncing is a process whose log cannot be synced for a while.
func breakBySyncing(ctx context.Context, dir string) error {
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return err
	}
	if _, err := put(ctx, store, "alice"); err != nil {
		return err
	}
	heal, err := failSyncs(filepath.Join(dir, sqlite.FileName+"-wal"))
	if err != nil {
		return err
	}
	err = leaseEarly(ctx, store, "carol") // a settle would look whether the files are well
	if err == nil || errors.Is(err, otp.ErrBroken) && !strings.Contains(err.Error(), "make a write durable: disk I/O error") {
		return fmt.Errorf("the write at which the disk fails says %w", err)
	}
	if err := errors.Join(expectBroken(ctx, store), heal(), expectBroken(ctx, store), expectRescue(ctx, store), store.Close()); err != nil {
		return err
	}
	store, err = sqlite.Open(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return err
	}
	_, err = put(ctx, store, "alice")
	return errors.Join(err, store.Broken(), store.Close())
}

// expectRescue fails unless a broken store whose files are well takes settles, and is read for them, and takes nothing else.
func expectRescue(ctx context.Context, store *sqlite.Store) error {
	err := store.Create(ctx, write("rescued", 1))
	row, _, fetched := store.Fetch(ctx, "rescued")
	if err := errors.Join(err, fetched); err != nil || row.Revision != 1 {
		return fmt.Errorf("a settle on files that are well: %w; revision %d is there", err, row.Revision)
	}
	if err := store.Replace(ctx, attempt("rescued", 2)); !errors.Is(err, otp.ErrBroken) || store.Broken() == nil {
		return fmt.Errorf("a lease after it: %w", err)
	}
	if err := store.Writable(ctx); !errors.Is(err, otp.ErrBroken) {
		return fmt.Errorf("Writable after it: %w", err)
	}
	return nil
}

// failSyncs has every sync of a file fail that this process has open, and loses what is written to it, until heal is called. It
// puts a device in its place that takes writes and cannot be synced.
func failSyncs(path string) (heal func() error, err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	kept := map[int]int{} // descriptors of the file, by those that SQLite has
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if target, _ := os.Readlink("/proc/self/fd/" + entry.Name()); err != nil || target != path {
			continue
		}
		if kept[fd], err = unix.Dup(fd); err != nil {
			return nil, err
		}
		null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.Dup3(null, fd, unix.O_CLOEXEC), unix.Close(null))
		}
		if err != nil {
			return nil, err
		}
	}
	return func() (err error) {
		for fd, file := range kept {
			err = errors.Join(err, unix.Dup3(file, fd, unix.O_CLOEXEC), unix.Close(file))
		}
		return err
	}, nil
}

// A write that the disk refuses passes: what did not fit is refused, and the same write is taken when the disk takes writes again.
func TestWritesThatFailPass(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if err := process(t, "unwritten", dir).Run(); err != nil {
		t.Fatal(err)
	}
	verify(t, dir)
}

// failToWrite is a process whose log may not grow any more for a while.
func failToWrite(ctx context.Context, dir string) error {
	var observed error
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{
		Dir:           dir,
		ObserveCommit: func(_ int, _ time.Duration, err error) { observed = err },
	})
	if err != nil {
		return err
	}
	if _, err := put(ctx, store, "alice"); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(dir, sqlite.FileName+"-wal"))
	if err != nil {
		return err
	}
	if err := limitFiles(uint64(info.Size() + 1<<20)); err != nil { // the database fits, and its log does not for long
		return err
	}
	if err := leaseAlone(ctx, store, &observed); err != nil {
		return err
	}
	if err := limitFiles(uint64(info.Size() + 10_000)); err != nil {
		return err
	}
	refused := leaseTogether(ctx, store)
	if err := many(ctx, store, 1000, func(otp.Write) {}); err == nil || store.Broken() != nil {
		return fmt.Errorf("the writes that the disk refuses say %w; broken: %w", err, store.Broken())
	}
	if err := limitFiles(unix.RLIM_INFINITY); err != nil {
		return err
	}
	_, err = put(ctx, store, "alice")
	return errors.Join(refused, err, store.Broken(), store.Close())
}

// leaseEarly leases a row, goes on as soon as it may, and then waits until the lease is durable.
func leaseEarly(ctx context.Context, store otp.Store, account otp.Account) error {
	d, err := store.Update(ctx, account, "", func(found otp.Snapshot) otp.Decision {
		w := attempt(account, found.Row.Revision+1)
		return otp.Decision{Write: &w, Early: true}
	})
	switch {
	case err != nil:
		return err
	case d.Pending == nil:
		return errors.New("the update has not returned early")
	}
	return d.Pending.Wait(ctx)
}

// leaseAlone leases rows early, one after the other, until the disk refuses one, and fails unless that is what was observed of its
// transaction.
func leaseAlone(ctx context.Context, store otp.Store, observed *error) error {
	const most = 1000
	for n := range most {
		account := otp.Account(fmt.Sprint("alone", n))
		err := leaseEarly(ctx, store, account)
		switch {
		case err == nil:
		case *observed == nil:
			return fmt.Errorf("the transaction of a lease that ended with %w was observed without an error", err)
		default: // the next one begins the log again
			return leaseEarly(ctx, store, account)
		}
	}
	return errors.New("the disk has refused no lease of a lone caller")
}

// leaseTogether leases rows early, many at a time, between settles, and fails unless each lease is stored, or is not, as its caller was told.
func leaseTogether(ctx context.Context, store otp.Store) (err error) {
	const callers, each = 16, 30
	var (
		refused atomic.Int64
		ended   = make(chan error, callers)
	)
	for n := range callers {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, leaseAndFetch(ctx, store, otp.Account(fmt.Sprint("early", n)), &refused))
			}
			ended <- err
		}()
	}
	for range callers {
		err = errors.Join(err, <-ended)
	}
	if refused.Load() == 0 {
		err = errors.Join(err, errors.New("the disk has refused no lease"))
	}
	return err
}

// leaseAndFetch leases a row early, and looks what became of it.
func leaseAndFetch(ctx context.Context, store otp.Store, account otp.Account, refused *atomic.Int64) error {
	before, _, err := store.Fetch(ctx, account)
	if err != nil && !errors.Is(err, otp.ErrNotFound) {
		return err
	}
	leased := leaseEarly(ctx, store, account)
	if leased != nil {
		refused.Add(1)
	}
	after, _, err := store.Fetch(ctx, account)
	switch grown := after.Revision - before.Revision; {
	case err != nil && !errors.Is(err, otp.ErrNotFound):
		return err
	case leased == nil && grown != 1, errors.Is(leased, otp.ErrNotApplied) && grown != 0, grown > 1:
		return fmt.Errorf("after a lease with the result %w, the row has %d revisions more", leased, grown)
	}
	return nil
}

// When the disk fails under a migration, it may have been made or not: the backup stays.
func TestADiskThatFailsUnderAMigration(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	aStore(t, dir)
	if err := process(t, "migrate", dir).Run(); err != nil {
		t.Fatal(err)
	}
	backups, err := filepath.Glob(filepath.Join(dir, "*.backup-v*"))
	if err != nil || len(backups) != 1 {
		t.Errorf("the backups are %v (%v)", backups, err)
	}
	verify(t, dir)
}

func migrateOnADiskThatFails(ctx context.Context, dir string) error {
	if err := limitFiles(1_000_000); err != nil {
		return err
	}
	err := sqlite.Migrate(ctx, dir, "CREATE TABLE cats (name BLOB); INSERT INTO cats VALUES (zeroblob(10000000))")
	if err == nil || !strings.Contains(err.Error(), "whether it was done is not known") || !strings.Contains(err.Error(), ".backup-v") {
		return fmt.Errorf("a migration on a disk that fails says %w", err)
	}
	return nil
}

func limitFiles(size uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(size, limit.Max)
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
}

// expectBroken fails unless the store says why it is broken, and every verb that it is.
func expectBroken(ctx context.Context, store *sqlite.Store) error {
	var errs []error
	if store.Broken() == nil {
		errs = append(errs, errors.New("Broken does not say why"))
	}
	_, _, fetch := store.Fetch(ctx, "alice")
	_, list := store.List(ctx, "", 1)
	_, count := store.CountUnreadAnswers(ctx)
	_, audit := store.AuditAfter(ctx, 0, 1)
	_, _, key := store.KeyByID(ctx, "")
	_, keys := store.ListKeys(ctx)
	for verb, err := range map[string]error{
		"Fetch": fetch, "Create": store.Create(ctx, attempt("bob", 1)), "Replace": store.Replace(ctx, attempt("alice", 2)),
		"List": list, "CountUnreadAnswers": count, "AuditAfter": audit, "Writable": store.Writable(ctx),
		"KeyByID": key, "ListKeys": keys, "AddKey": store.AddKey(ctx, authn.Key{}), "RevokeKey": store.RevokeKey(ctx, "", time.Time{}),
	} {
		if !errors.Is(err, otp.ErrBroken) || !strings.Contains(err.Error(), store.Broken().Error()) {
			errs = append(errs, fmt.Errorf("%s of a broken store says %w", verb, err))
		}
	}
	return errors.Join(errs...)
}

func TestBrokenWhenItsFilesAreMoved(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(path string) error{
		"moved":       func(path string) error { return os.Rename(path, path+".old") },
		"deleted":     os.Remove,
		"log deleted": func(path string) error { return os.Remove(path + "-wal") },
		"locks gone":  func(path string) error { return os.Remove(path + "-shm") },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Rename(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			store := open(t, dir)
			if err := errors.Join(store.Create(t.Context(), write("alice", 1)), store.Broken()); err != nil {
				t.Fatal(err)
			}
			if err := move(filepath.Join(dir, sqlite.FileName)); err != nil {
				t.Fatal(err)
			}
			if err := store.Replace(t.Context(), write("alice", 2)); !errors.Is(err, otp.ErrBroken) {
				t.Errorf("the next write says %v", err)
			}
			if err := expectBroken(t.Context(), store); err != nil {
				t.Error(err)
			}
		})
	}
}

// A store that was moved away and is back takes what is in hand, and one that was replaced by a copy never does.
func TestRescueOfAMovedStore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		move, back func(dir string) error
		rescued    bool
	}{
		"the database": {
			func(dir string) error { return os.Rename(database(dir), database(dir)+".old") },
			func(dir string) error { return os.Rename(database(dir)+".old", database(dir)) }, true,
		},
		"the directory": {
			func(dir string) error { return os.Rename(dir, dir+".old") },
			func(dir string) error { return os.Rename(dir+".old", dir) }, true,
		},
		"a copy": {
			func(dir string) error { return os.Rename(dir, dir+".old") },
			func(dir string) error { return exec.Command("cp", "-a", dir+".old", dir).Run() }, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			store := open(t, dir)
			if err := errors.Join(store.Create(t.Context(), write("alice", 1)), tc.move(dir)); err != nil {
				t.Fatal(err)
			}
			if err := store.Replace(t.Context(), write("alice", 2)); !errors.Is(err, otp.ErrBroken) {
				t.Errorf("a settle while it is away: %v", err)
			}
			if err := errors.Join(expectBroken(t.Context(), store), tc.back(dir)); err != nil {
				t.Fatal(err)
			}
			if !tc.rescued {
				if err := store.Replace(t.Context(), write("alice", 2)); !errors.Is(err, otp.ErrBroken) {
					t.Errorf("a settle into a copy: %v", err)
				}
				return
			}
			if err := expectRescue(t.Context(), store); err != nil {
				t.Error(err)
			}
			closed(t, store)
			verify(t, dir)
		})
	}
}

func database(dir string) string { return filepath.Join(dir, sqlite.FileName) }

// ownMounts has a process begin with mounts of its own, which it may change.
func ownMounts() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
}

// A full disk passes: leases are refused, settles have a reserve, and leases are taken when there is room again. That takes a
// small file system, and so a machine that gives namespaces to anyone; crashtest shows the same on the others.
func TestFull(t *testing.T) {
	t.Parallel()
	cmd := process(t, "full", t.TempDir())
	cmd.SysProcAttr = ownMounts()
	if err := cmd.Run(); err != nil && !isNotAllowed(err) {
		t.Fatal(err)
	}
}

// A database that is mounted by itself is refused, in whichever mount namespace.
func TestMountedByItself(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	aStore(t, dir)
	cmd := process(t, "mounted", dir)
	cmd.SysProcAttr = ownMounts()
	if err := cmd.Run(); err != nil && !isNotAllowed(err) {
		t.Fatal(err)
	}
}

func openWhatIsMounted(ctx context.Context, dir string) error {
	mount := func(path string) error { return unix.Mount(path, path, "", unix.MS_BIND, "") }
	if err := mount(dir); isNotAllowed(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	store, err := sqlite.Open(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return fmt.Errorf("the data directory may be mounted: %w", err)
	}
	if err := errors.Join(store.Close(), mount(database(dir))); err != nil {
		return err
	}
	if _, err := sqlite.Open(ctx, sqlite.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "is mounted by itself") {
		return fmt.Errorf("a database that is mounted by itself: %w", err)
	}
	return nil
}

// A disk without room for a new store is found before anything is made on it, and the check finds the same.
func TestNoRoomForNewStore(t *testing.T) {
	t.Parallel()
	cmd := process(t, "no room", t.TempDir())
	cmd.SysProcAttr = ownMounts()
	if err := cmd.Run(); err != nil && !isNotAllowed(err) {
		t.Fatal(err)
	}
}

func openWithoutRoom(ctx context.Context, parent string) error {
	if err := unix.Mount("none", parent, "tmpfs", 0, "size=64k"); err != nil {
		if isNotAllowed(err) {
			return nil
		}
		return fmt.Errorf("mount: %w", err)
	}
	dir := filepath.Join(parent, "data")
	_, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "a new store needs about") {
		return fmt.Errorf("opening it: %w", err)
	}
	if checked := sqlite.Check(ctx, dir); checked == nil || checked.Error() != err.Error() {
		return fmt.Errorf("the check says %w, and opening it %w", checked, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("something was made: %w", err)
	}
	return nil
}

// A disk without room for a restore is found before anything is made on it.
func TestNoRoomForRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: filepath.Join(dir, "of the backup")})
	if err == nil {
		err = errors.Join(store.Backup(t.Context(), filepath.Join(dir, "backup"), func(int64, int64) {}), store.Close())
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "small"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := process(t, "no copy", dir)
	cmd.SysProcAttr = ownMounts()
	if err := cmd.Run(); err != nil && !isNotAllowed(err) {
		t.Fatal(err)
	}
}

func restoreWithoutRoom(ctx context.Context, dir string) error {
	small := filepath.Join(dir, "small")
	if err := unix.Mount("none", small, "tmpfs", 0, "size=4m"); err != nil {
		if isNotAllowed(err) {
			return nil
		}
		return fmt.Errorf("mount: %w", err)
	}
	_, err := sqlite.Replace(ctx, filepath.Join(small, "data"), filepath.Join(dir, "backup"))
	if err == nil || !strings.Contains(err.Error(), "a copy of the store needs about") {
		return fmt.Errorf("the restore says %w", err)
	}
	return nil
}

func isNotAllowed(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSPC)
}

func fillTheDisk(ctx context.Context, dir string) error {
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		if isNotAllowed(err) {
			return nil
		}
		return fmt.Errorf("mount: %w", err)
	}
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return err
	}
	backup := filepath.Join(dir, "backup")
	if err := store.Backup(ctx, backup, func(int64, int64) {}); err == nil || !strings.Contains(err.Error(), "a copy of the store needs about") {
		return fmt.Errorf("without room for it and for the service, a backup says %w", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1_000_000), 0o600); err != nil {
		return err
	}
	leases, err := fill(ctx, store, otp.StageAttempt)
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	reserve := filepath.Join(dir, sqlite.ReserveName)
	if _, err := os.Stat(reserve); err != nil {
		return fmt.Errorf("after leases found no room: %w", err)
	}
	for range 1000 { // the last pages are small enough for some
		if err = store.Writable(ctx); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, otp.ErrBroken) {
		return fmt.Errorf("without room, Writable says %w", err)
	}
	settles, err := fill(ctx, store, otp.StageOutcome)
	if err != nil || settles < 4 {
		return fmt.Errorf("after %d leases found no room, %d settles did: %w", leases, settles, err)
	}
	if _, err := os.Stat(reserve); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("after settles found no room, the reserve is there: %w", err)
	}
	rest := filepath.Join(dir, "rest") // the log was cut off when the last settle had failed, and with that room the reserve would be made again
	if err := os.WriteFile(rest, make([]byte, 4<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("filling the rest of the disk: %w", err)
	}
	if err := store.Create(ctx, attempt("bob", 1)); !errors.Is(err, otp.ErrNotApplied) || !strings.Contains(err.Error(), "reserve") {
		return fmt.Errorf("without a reserve, a lease says %w", err)
	}
	return errors.Join(os.Remove(ballast), os.Remove(rest), store.Create(ctx, attempt("bob", 1)), store.Writable(ctx), store.Close())
}

func attempt(account otp.Account, revision uint64) otp.Write {
	w := write(account, revision)
	w.AuditEntry.Stage = otp.StageAttempt
	return w
}

// fill writes a row of an account of its own, longer each time, until the disk is full, and returns how often it was stored.
func fill(ctx context.Context, store *sqlite.Store, stage otp.Stage) (n uint64, err error) {
	account := otp.Account(stage)
	for ; err == nil; n++ {
		w := write(account, n+1)
		w.Row.Body, w.AuditEntry.Stage = make([]byte, 20_000+10_000*n), stage
		if n == 0 {
			err = store.Create(ctx, w)
		} else {
			err = store.Replace(ctx, w)
		}
	}
	n-- // the last was not stored
	if errors.Is(err, otp.ErrBroken) || !strings.Contains(err.Error(), "full") || store.Broken() != nil {
		return n, fmt.Errorf("a write without room says %w", err)
	}
	if row, _, err := store.Fetch(ctx, account); err != nil || row.Revision != n {
		return n, fmt.Errorf("after revision %d, %d is there: %w", n, row.Revision, err)
	}
	return n, nil
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	for name, modes := range map[string][2]os.FileMode{"file": {0o700, 0o400}, "directory": {0o500, 0o600}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			dir := filepath.Join(root, "data")
			aStore(t, dir)
			path := filepath.Join(dir, sqlite.FileName)
			errs := []error{os.Chmod(path, modes[1]), os.Chmod(dir, modes[0]), os.Chmod(root, 0o755), os.Chmod(filepath.Dir(root), 0o755)}
			if os.Getuid() == 0 {
				errs = append(errs, os.Chown(path, nobody, nobody), os.Chown(dir, nobody, nobody))
			}
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			if err := process(t, "readonly", dir).Run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The ID of a user without rights, which root becomes.
const nobody = 65534

func openWhatCannotBeWritten(ctx context.Context, dir string) error {
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	_, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "cannot be written") {
		return fmt.Errorf("opening what cannot be written says %w", err)
	}
	return nil
}
