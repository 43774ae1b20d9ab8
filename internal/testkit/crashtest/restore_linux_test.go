package crashtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// restoreBackup is the child: it restores a backup, as the command does.
func restoreBackup(ctx context.Context, dir, backup string) error {
	c, err := settings(dir, "http://127.0.0.1:1")
	if err != nil {
		return err
	}
	restore, err := app.PrepareRestore(ctx, c, backup, "test")
	if err != nil {
		return err
	}
	_, err = restore.Install(ctx)
	return errors.Join(err, restore.Close())
}

// before is what there is before a restore: files by their paths below a root, of a store that a process left that was killed,
// and of a backup of it.
type before struct {
	files    map[string][]byte
	readable bool
	lines    int // of the audit log
}

func newBefore(t *testing.T) before {
	t.Helper()
	w := newHarness(t, variant{inwebosim.RatchetK0K1dK1, inwebosim.LostFinalizeStrict})
	defer w.end(t)
	c, err := settings(w.dir, w.inwebo.ProtocolURL())
	if err != nil {
		t.Fatal(err)
	}
	core, err := app.OpenCore(t.Context(), c, true, app.Observers{})
	if err != nil {
		t.Fatal(err)
	}
	store, _ := core.Store.(*sqlite.Store)
	backup := filepath.Join(t.TempDir(), "backup.db")
	_, err = enroll(t.Context(), core)
	err = errors.Join(err, store.Backup(t.Context(), backup, func(int64, int64) {}),
		core.OTP.Unlock(t.Context(), otp.Request{Account: account, Caller: "test"})) // so that the store is newer
	lines, listed := store.AuditAfter(t.Context(), 0, math.MaxInt32)
	b := before{files: map[string][]byte{}, readable: true, lines: len(lines)}
	for name, path := range map[string]string{
		"/backup.db": backup, "/data/pimsd.db": w.dir + "/pimsd.db", "/data/pimsd.db-wal": w.dir + "/pimsd.db-wal", "/data/seal.keys": w.dir + "/seal.keys",
	} {
		var failed error
		b.files[name], failed = os.ReadFile(path)
		err = errors.Join(err, failed)
	}
	if err := errors.Join(err, listed, core.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// unreadable is the same, where nothing can read the database.
func (b before) unreadable() before {
	files := maps.Clone(b.files)
	files["/data/pimsd.db"] = bytes.Repeat([]byte{0xa5}, len(files["/data/pimsd.db"]))
	return before{files: files, lines: b.lines}
}

// put puts the files below a root.
func (b before) put(root string) error {
	err := os.Mkdir(root+"/data", 0o700)
	for name, data := range b.files {
		err = errors.Join(err, os.WriteFile(root+name, data, 0o600))
	}
	return err
}

// disk is a disk on which the files are safe.
func (b before) disk(root string) *crashtest.Disk {
	disk := crashtest.NewDisk(root)
	disk.Apply(crashtest.Call{Op: crashtest.MakeDir, Path: root + "/data"})
	for name, data := range b.files {
		for _, op := range []crashtest.Op{crashtest.Create, crashtest.Write, crashtest.Sync} {
			disk.Apply(crashtest.Call{Op: op, Path: root + name, Data: data})
		}
	}
	disk.Apply(crashtest.Call{Op: crashtest.Sync, Path: root})
	disk.Apply(crashtest.Call{Op: crashtest.Sync, Path: root + "/data"})
	return disk
}

// What a restore that ended anywhere may leave.
const (
	foundOld     found = "the old store"
	foundNew     found = "the new store"
	foundRefused found = "refused" // by whatever would serve
)

// inspect opens what a restore has left as the service does, and finds out which store it is.
//
// A second name of the replaced database is gone again when the old store is there, unless the power failed: a crashtest.Disk does not
// put two names of one file back as that.
func (b before) inspect(ctx context.Context, root string, keepsNames bool) (found, error) {
	dir := root + "/data"
	c, err := settings(dir, "http://127.0.0.1:1")
	if err != nil {
		return "", err
	}
	core, err := app.OpenCore(ctx, c, true, app.Observers{})
	if err != nil && !b.readable {
		return foundRefused, nil
	}
	if err != nil {
		return "", fmt.Errorf("the store does not open: %w", err)
	}
	status, err := core.OTP.Status(ctx, account)
	lines, listed := core.Store.AuditAfter(ctx, 0, math.MaxInt32)
	if err := errors.Join(err, listed, integrity(ctx, dir), core.Close()); err != nil {
		return "", err
	}
	aside, _ := filepath.Glob(dir + "/pimsd.db.replaced-*")
	restored := slices.ContainsFunc(lines, func(line otp.AuditRecord) bool { return line.Action == "store-restore" })
	switch {
	case restored && status.InDoubt && len(aside) > 0 && (!b.readable || len(lines) == b.lines+1):
		return foundNew, nil
	case !restored && b.readable && !status.InDoubt && status.Activated && len(lines) == b.lines && (len(aside) == 0 || !keepsNames):
		return foundOld, nil
	}
	return "", fmt.Errorf("the store is neither: restored %t, %d lines, aside %q, %+v", restored, len(lines), aside, status)
}

// restoreIn runs the child below a root.
func (b before) restoreIn(ctx context.Context, root string, decide func(crashtest.Call) crashtest.Action) error {
	if err := b.put(root); err != nil {
		return err
	}
	_, _, err := watch(ctx, "restore", []string{root + "/data", root + "/backup.db"}, root, decide)
	return err
}

// hit has a restore killed, or a call of it fail, and judges what is left; then the restore is run again.
func (b before) hit(t *testing.T, root string, n int, action crashtest.Action) (found, error) {
	t.Helper()
	if err := os.Mkdir(root, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(root) //nolint:errcheck // the test removes what is left
	calls := 0
	err := b.restoreIn(t.Context(), root, func(crashtest.Call) crashtest.Action {
		if calls++; calls == n {
			return action
		}
		return crashtest.Allow()
	})
	if err != nil {
		return "", err
	}
	f, err := b.inspect(t.Context(), root, true)
	if err != nil || f == foundNew {
		return f, err
	}
	if err := restoreBackup(t.Context(), root+"/data", root+"/backup.db"); err != nil {
		return f, fmt.Errorf("the restore, run again: %w", err)
	}
	if again, err := b.inspect(t.Context(), root, true); again != foundNew {
		return f, fmt.Errorf("after the restore was run again, there is %q: %w", again, err)
	}
	return f, nil
}

// durable are the points of a restore: every call that is no write to a file, and some of the writes.
func durable(calls []crashtest.Call) (points []int) {
	var writes []int
	for i, c := range calls {
		switch c.Op {
		case crashtest.Write, crashtest.Truncate:
			writes = append(writes, i+1)
		case crashtest.MakeDir: // of one that is there
		default:
			points = append(points, i+1)
		}
	}
	points = append(points, allOr(4, writes)...)
	slices.Sort(points)
	return points
}

// A restore that is killed, or whose disk fails, at any durable step leaves the old store or the new one, and can be run again.
func TestRestoreKilledAnywhere(t *testing.T) {
	t.Parallel()
	readable := newBefore(t)
	for name, b := range map[string]before{"readable": readable, "unreadable": readable.unreadable()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			root := folder + "/first"
			if err := os.Mkdir(root, 0o700); err != nil {
				t.Fatal(err)
			}
			var calls []crashtest.Call
			err := b.restoreIn(t.Context(), root, func(c crashtest.Call) crashtest.Action {
				calls = append(calls, c)
				return crashtest.Allow()
			})
			if err != nil {
				t.Fatal(err)
			}
			if f, err := b.inspect(t.Context(), root, true); f != foundNew {
				t.Fatalf("undisturbed, it leaves %q: %v", f, err)
			}
			t.Run("killed", func(t *testing.T) { b.sweepKills(t, folder, calls) })
			t.Run("without power", func(t *testing.T) { b.sweepPower(t, folder, root, calls) })
		})
	}
}

func (b before) sweepKills(t *testing.T, folder string, calls []crashtest.Call) {
	t.Helper()
	var mu sync.Mutex
	counts := map[found]int{}
	seats := make(chan struct{}, 4)
	var all sync.WaitGroup
	for _, n := range durable(calls) {
		verdicts := []crashtest.Action{crashtest.KillBefore(), crashtest.Fail(unix.EIO)}
		if calls[n-1].Op == crashtest.Write {
			verdicts = append(verdicts, crashtest.KillHalfway())
		}
		for i, action := range verdicts {
			seats <- struct{}{}
			all.Go(func() {
				defer func() { <-seats }()
				f, err := b.hit(t, fmt.Sprintf("%s/%d-%d", folder, n, i), n, action)
				mu.Lock()
				defer mu.Unlock()
				counts[f]++
				if err != nil {
					c := calls[n-1]
					t.Errorf("call %d, %s %s, way %d: %v", n, c.Op, strings.TrimPrefix(c.Path, folder), i, err)
				}
			})
		}
	}
	all.Wait()
	t.Logf("of %d durable calls, hit at %d: %v", len(calls), len(durable(calls)), counts)
}

func (b before) sweepPower(t *testing.T, folder, root string, calls []crashtest.Call) {
	t.Helper()
	disk, counts, points := b.disk(root), map[found]int{}, durable(calls)
	for n, c := range calls {
		disk.Apply(c)
		if !slices.Contains(points, n+1) {
			continue
		}
		for seed := range uint64(4) {
			left := fmt.Sprintf("%s/power-%d-%d", folder, n, seed)
			err := os.Mkdir(left, 0o700)
			if err == nil {
				err = disk.Restore(disk.Crash(uint64(n)*seed+seed), left)
			}
			var f found
			if err == nil {
				f, err = b.inspect(t.Context(), left, false)
			}
			counts[f]++
			if err := errors.Join(err, os.RemoveAll(left)); err != nil {
				t.Errorf("after call %d, %s %s, seed %d: %v", n, c.Op, strings.TrimPrefix(c.Path, folder), seed, err)
			}
		}
	}
	t.Logf("states: %v", counts)
}
