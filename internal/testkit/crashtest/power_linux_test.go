package crashtest_test

import (
	"context"
	"crypto/sha256"
	"errors"
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
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// seeds is how many states of the disk are drawn at each point.
const seeds = 10

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

// fail lets the power fail at each of the calls, which are in order, and opens the store on what is left.
func (r *recording) fail(t *testing.T, lies func(path string) bool, points []int) *blackout {
	t.Helper()
	if len(points) == 0 {
		t.Fatal("the recording has no call of the kind that is to be tried")
	}
	b := &blackout{recording: r, disk: crashtest.NewDisk(r.root), seen: map[[sha256.Size]byte]bool{}, counts: map[found]int{}}
	b.disk.Lies = lies
	folder := t.TempDir()
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
		if _, hit := slices.BinarySearch(points, n); hit {
			b.draw(n, cuts)
		}
	}
	close(cuts)
	all.Wait()
	return b
}

// draw returns the states that the disk may have now, each of them once.
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
	fmt.Fprintln(hash, len(c.told.otps), c.told.enrolled, c.told.stored, c.accepted)
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
		f, err = b.inspect(ctx, filepath.Join(root, filepath.Base(b.dir)), func(core *app.Core) (found, error) {
			status, err := core.OTP.Status(ctx, account)
			if err != nil {
				return "", err
			}
			expected, err := b.expected()
			if err != nil {
				return "", err
			}
			f, err := c.told.compare(status, c.told.lastRound(expected), c.accepted)
			return f, errors.Join(err, c.told.audit(ctx, core, expected, c.accepted))
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

func honest(string) bool { return false }

// If the power fails at any write, what was told is still true.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	work := newRecording(t)
	work.record(t, otpCount, allow)
	work.compareFiles(t)

	// What a killed process had written and not synced is there for the next one, and must not be built upon.
	restart := newRecording(t)
	restart.record(t, otpCount, restart.atSettle(t, crashtest.KillBefore()))
	killed := len(restart.moments)
	restart.record(t, 3, allow)
	restart.compareFiles(t)

	// A sync that fails promises nothing.
	broken := newRecording(t)
	broken.record(t, otpCount, broken.atSettle(t, crashtest.Fail(unix.EIO)))
	failed := slices.IndexFunc(broken.moments, func(m moment) bool { return m.failed })

	long := newRecording(t)
	long.record(t, 6*otpCount, allow)
	long.compareFiles(t)

	time.Sleep(7 * time.Second) // no hold is respected any more: a device that is behind is in doubt
	for _, tc := range []struct {
		name string
		*recording
		points []int
	}{
		{"at work", work, work.writes(0)},
		{"at the start after a kill", restart, restart.writes(killed)},
		{"after a sync that failed", broken, broken.writes(failed)},
		{"at a checkpoint", long, long.checkpoint()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			b := tc.fail(t, honest, allOr(fewPoints, tc.points))
			t.Logf("%s; %v", b, time.Since(start).Round(time.Second))
			for _, err := range b.faults {
				t.Error(err)
			}
		})
	}
	t.Run("on a disk that lies", func(t *testing.T) {
		t.Parallel()
		b := work.fail(t, isLog, sample(fewPoints, work.writes(0))) // as SQLite with synchronous=NORMAL, which does not sync the log
		t.Log(b)
		if !slices.ContainsFunc(b.faults, func(err error) bool { return strings.Contains(err.Error(), "a step is lost") }) {
			t.Error("no step is found to be lost where the disk does not do what it is asked for")
		}
	})
}

// fewPoints are enough for `make test`.
const fewPoints = 4
