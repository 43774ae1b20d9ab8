package crashtest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/crashtest"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// seeds is how many states of the disk are drawn at each point.
const seeds = 10

// moment is when a call was about to happen, and how the world stood then.
type moment struct {
	call     crashtest.Call
	failed   bool // it did not happen
	told     told
	accepted uint32 // rounds, by inWebo
}

// recording is what children did to the disk of a world, one after the other.
type recording struct {
	*world

	moments []moment
}

// newRecording is a recording of nothing, in a world that ends with the test.
func newRecording(t *testing.T) *recording {
	t.Helper()
	r := &recording{world: newWorld(t, manners()[1])}
	t.Cleanup(func() { r.end(t) })
	return r
}

// record runs a child to its end, or the one that decide gives it.
func (r *recording) record(t *testing.T, otps int, decide func(crashtest.Call) crashtest.Verdict) {
	t.Helper()
	log, failed, err := r.run(t.Context(), "daemon", otps, func(c crashtest.Call) crashtest.Verdict {
		verdict := decide(c)
		if verdict != crashtest.KillBefore() {
			r.note(t, c, verdict != crashtest.Pass())
		}
		return verdict
	})
	if err != nil || failed && !slices.ContainsFunc(r.moments, func(m moment) bool { return m.failed }) {
		t.Fatalf("the daemon that is recorded fails by itself (%v). Its log:\n%s", err, log)
	}
	r.note(t, crashtest.Call{Op: crashtest.Report}, false)
}

// note adds a moment: a call, or, when nothing is about to happen, a Report.
func (r *recording) note(t *testing.T, c crashtest.Call, failed bool) {
	t.Helper()
	truth, err := r.truth()
	if err != nil {
		t.Error(err)
	}
	r.moments = append(r.moments, moment{c, failed, r.told, truth.Step})
}

func pass(crashtest.Call) crashtest.Verdict { return crashtest.Pass() }

// atSettle gives a verdict on the sync that ends the settle of the sixth OTP.
func (r *recording) atSettle(t *testing.T, verdict crashtest.Verdict) func(crashtest.Call) crashtest.Verdict {
	done := false
	return func(c crashtest.Call) crashtest.Verdict {
		truth, err := r.truth()
		if err != nil {
			t.Error(err)
		}
		isSettle := len(r.told.otps) == 5 && truth.Step > r.told.last(truth) // inWebo has accepted what nobody was told yet
		if done || !isSettle || c.Op != crashtest.Sync || !isLog(c.Path) {
			return crashtest.Pass()
		}
		done = true
		return verdict
	}
}

// isLog tells whether a path is that of the write-ahead log.
func isLog(path string) bool { return strings.HasSuffix(path, "-wal") }

// count is how many calls wanted takes.
func (r *recording) count(wanted func(int) bool) (n int) {
	for i := range r.moments {
		if wanted(i) {
			n++
		}
	}
	return n
}

// compareFiles fails unless what was recorded makes the very files that are there, which shows that nothing was missed. The
// index of the log is shared memory and means nothing after a crash.
func (r *recording) compareFiles(t *testing.T) {
	t.Helper()
	disk := crashtest.NewDisk(r.root)
	for _, m := range r.moments {
		disk.Apply(m.call)
	}
	recorded := disk.Files()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(r.dir, entry.Name())
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "-shm") && !bytes.Equal(content, recorded[path]) {
			t.Errorf("what was recorded of %s is not what it has in it", path)
		}
	}
	if len(recorded) != 1+len(entries) {
		t.Errorf("recorded are %v, there are %v", slices.Sorted(maps.Keys(recorded)), entries)
	}
}

// cut is the power failing at a moment.
type cut struct {
	moment
	files map[string][]byte
	seed  uint64
	n     int
}

// blackout tries cuts, several at a time.
type blackout struct {
	*recording

	disk   *crashtest.Disk
	seen   map[[sha256.Size]byte]bool
	points int
	drawn  int

	mu     sync.Mutex
	counts map[found]int
	faults []error
}

// fail lets the power fail at each call that writes and that wanted takes, and opens the store on what is left.
func (r *recording) fail(t *testing.T, lies func(path string) bool, wanted func(n int) bool) *blackout {
	t.Helper()
	b := &blackout{recording: r, disk: crashtest.NewDisk(r.root), seen: map[[sha256.Size]byte]bool{}, counts: map[found]int{}}
	b.disk.Lies = lies
	folder := scratch(t)
	cuts := make(chan cut)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for c := range cuts {
				b.try(t.Context(), folder, c)
			}
		})
	}
	for n, m := range r.moments {
		if m.failed {
			b.disk.FailSync(m.call.Path)
		} else {
			b.disk.Apply(m.call)
		}
		if m.call.Op != crashtest.Sync && wanted(n) {
			b.draw(n, cuts)
		}
	}
	close(cuts)
	all.Wait()
	return b
}

// draw gives the states that the disk may have now, each of them once.
func (b *blackout) draw(n int, cuts chan<- cut) {
	b.points++
	for i := range uint64(seeds) {
		c := cut{moment: b.moments[n], seed: i, n: n}
		if i > 1 {
			c.seed = uint64(n)*seeds + i
		}
		c.files = b.disk.Crash(c.seed)
		b.drawn++
		if digest := c.digest(); !b.seen[digest] {
			b.seen[digest] = true
			cuts <- c
		}
	}
}

// digest tells states apart, and what must hold in them.
func (c cut) digest() [sha256.Size]byte {
	hash := sha256.New()
	fmt.Fprintln(hash, len(c.told.otps), c.told.enrolled, c.accepted)
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		fmt.Fprintln(hash, name, len(c.files[name]))
		hash.Write(c.files[name])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

func (b *blackout) try(ctx context.Context, folder string, c cut) {
	root, err := os.MkdirTemp(folder, "cut-")
	var f found
	if err == nil {
		err = b.disk.Restore(c.files, root)
	}
	if err == nil {
		f, err = b.look(ctx, filepath.Join(root, filepath.Base(b.dir)), func(core *app.Core) (found, error) {
			status, err := core.OTP.Status(ctx, account)
			if err != nil {
				return "", err
			}
			truth, err := b.truth()
			if err != nil {
				return "", err
			}
			return c.told.compare(status, c.told.last(truth), c.accepted)
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[f]++
	if err != nil {
		b.faults = append(b.faults, fmt.Errorf("power fails at call %d, %s %s, seed %d: %w", c.n, c.call.Op, c.call.Path, c.seed, err))
	}
	if err := os.RemoveAll(root); err != nil {
		b.faults = append(b.faults, err)
	}
}

func (b *blackout) String() string {
	return fmt.Sprintf("%d points × %d seeds: %d states, %d of them different; found %v; %d violations",
		b.points, seeds, b.drawn, len(b.seen), b.counts, len(b.faults))
}

// all takes every call.
func all(int) bool { return true }

// every takes about n of the calls that a recording has, in steps.
func (r *recording) every(n int) func(int) bool {
	step := len(r.moments)/n + 1
	return func(i int) bool { return i%step == 0 }
}

// atCheckpoint takes the calls around those that write the log back into the database, in the middle of the work.
func (r *recording) atCheckpoint() func(int) bool {
	const start, margin = 200, 60 // calls
	taken := map[int]bool{}
	for n, m := range r.moments {
		if n >= start && filepath.Base(m.call.Path) == sqlite.FileName {
			for near := n - margin; near <= n+margin; near++ {
				taken[near] = true
			}
		}
	}
	return func(n int) bool { return taken[n] }
}

func honest(string) bool { return false }

// If the power fails at any write, what was told is still true.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	const fewer = 4 // points, unless all are to be tried
	work := newRecording(t)
	work.record(t, otpCount, pass)
	work.compareFiles(t)

	// What a killed process had written and not synced is there for the next one, and must not be built upon.
	restart := newRecording(t)
	restart.record(t, otpCount, restart.atSettle(t, crashtest.KillBefore()))
	killed := len(restart.moments)
	restart.record(t, 3, pass)
	restart.compareFiles(t)

	// After a sync that failed, nothing may be promised any more.
	broken := newRecording(t)
	broken.record(t, otpCount, broken.atSettle(t, crashtest.Fail(unix.EIO)))
	failed := slices.IndexFunc(broken.moments, func(m moment) bool { return m.failed })

	long := newRecording(t)
	long.record(t, 6*otpCount, pass)
	long.compareFiles(t)

	time.Sleep(5 * time.Second) // no hold is respected any more: a device that is behind is in doubt
	for _, tc := range []struct {
		name string
		*recording
		wanted func(int) bool
	}{
		{"at work", work, all},
		{"at the start after a kill", restart, func(n int) bool { return n >= killed }},
		{"after a sync that failed", broken, func(n int) bool { return n >= failed }},
		{"at a checkpoint", long, long.atCheckpoint()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			some := all
			if !*whole {
				some = tc.every(fewer * len(tc.moments) / tc.count(tc.wanted))
			}
			start := time.Now()
			b := tc.fail(t, honest, func(n int) bool { return tc.wanted(n) && some(n) })
			t.Logf("%s; %v", b, time.Since(start).Round(time.Second))
			for _, err := range b.faults {
				t.Error(err)
			}
		})
	}
	t.Run("on a disk that lies", func(t *testing.T) {
		t.Parallel()
		b := work.fail(t, isLog, work.every(fewer)) // as SQLite with synchronous=NORMAL, which does not sync the log
		t.Log(b)
		if !slices.ContainsFunc(b.faults, func(err error) bool { return strings.Contains(err.Error(), "a step is lost") }) {
			t.Error("no step is found to be lost where the disk does not do what it is asked for")
		}
	})
}
