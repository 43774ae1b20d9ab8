package crashtest_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// moment is when a call was about to happen, and how the world stood then.
type moment struct {
	call     crashtest.Call
	failed   bool // it did not happen
	told     acknowledged
	accepted uint32 // rounds, by inWebo
}

// recording is what children did to the disk of a world, one after the other.
type recording struct {
	*harness

	moments []moment
}

// newRecording is a recording of nothing, in a world that ends with the test.
func newRecording(t *testing.T) *recording {
	t.Helper()
	r := &recording{harness: newHarness(t, variants()[1])}
	t.Cleanup(func() { r.end(t) })
	return r
}

// record runs a child to its end, or the one that decide returns it.
func (r *recording) record(t *testing.T, otps int, decide func(crashtest.Call) crashtest.Action) {
	t.Helper()
	log, failed, err := r.run(t.Context(), "daemon", otps, func(c crashtest.Call) crashtest.Action {
		action := decide(c)
		if action != crashtest.KillBefore() {
			r.addMoment(t, c, action != crashtest.Allow())
		}
		return action
	})
	if err != nil || failed && !slices.ContainsFunc(r.moments, func(m moment) bool { return m.failed }) {
		t.Fatalf("the daemon that is recorded fails by itself (%v). Its log:\n%s", err, log)
	}
	r.addMoment(t, crashtest.Call{Op: crashtest.Report}, false)
}

// addMoment adds a moment: a call, or, when nothing is about to happen, a Report.
func (r *recording) addMoment(t *testing.T, c crashtest.Call, failed bool) {
	t.Helper()
	expected, err := r.expected()
	if err != nil {
		t.Error(err)
	}
	r.moments = append(r.moments, moment{c, failed, r.acknowledged, expected.Step})
}

func allow(crashtest.Call) crashtest.Action { return crashtest.Allow() }

// atSettle returns a verdict on the sync that ends the settle of the sixth OTP.
func (r *recording) atSettle(t *testing.T, action crashtest.Action) func(crashtest.Call) crashtest.Action {
	done := false
	return func(c crashtest.Call) crashtest.Action {
		expected, err := r.expected()
		if err != nil {
			t.Error(err)
		}
		isSettle := len(r.acknowledged.otps) == 5 && expected.Step > r.acknowledged.lastRound(expected) // inWebo has accepted what no caller was told yet
		if done || !isSettle || c.Op != crashtest.Sync || !isLog(c.Path) {
			return crashtest.Allow()
		}
		done = true
		return action
	}
}

// isLog reports whether a path is that of the write-ahead log.
func isLog(path string) bool { return strings.HasSuffix(path, "-wal") }

// writes are the numbers of the calls, from one on, that change what is on the disk.
func (r *recording) writes(from int) (numbers []int) {
	for n, m := range r.moments {
		if n >= from && m.call.Op != crashtest.Sync {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// checkpoint are those around the calls that write the log back into the database, in the middle of the work.
func (r *recording) checkpoint() []int {
	const start, margin = 200, 60 // calls
	near := map[int]bool{}
	for n, m := range r.moments {
		if n >= start && filepath.Base(m.call.Path) == sqlite.FileName {
			for i := n - margin; i <= n+margin; i++ {
				near[i] = true
			}
		}
	}
	return slices.DeleteFunc(r.writes(start), func(n int) bool { return !near[n] })
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
