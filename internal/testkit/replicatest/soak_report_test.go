package replicatest_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A report is how what a process uses has grown.
type report struct {
	wal     string // the file of the store's log, or empty
	samples []sample
}

// A sample is what a process uses at one moment, by name.
type sample struct {
	at   time.Time
	uses map[string]float64
}

// watch takes samples of the process until ctx is over.
func (r *report) watch(ctx context.Context, p *process, pause time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		r.samples = append(r.samples, sample{time.Now(), r.usesOf(p)})
	}
}

func (r *report) usesOf(p *process) map[string]float64 {
	uses := map[string]float64{"goroutines": p.metric("go_goroutines"), "heap (MiB)": p.metric("go_memstats_heap_alloc_bytes") / (1 << 20)}
	proc := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	if files, err := os.ReadDir(proc + "/fd"); err == nil {
		uses["descriptors"] = float64(len(files))
	}
	if status, err := os.ReadFile(proc + "/status"); err == nil {
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kib, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
		uses["memory (MiB)"] = kib / 1024
	}
	if info, err := os.Stat(r.wal); err == nil {
		uses[walName] = float64(info.Size()) / (1 << 20)
	}
	if calls := p.metric("pimsd_inwebo_exchange_duration_seconds_count"); calls > 0 {
		uses["log (bytes per exchange)"] = float64(len(p.text())) / calls
	}
	return uses
}

// walName is the name of a use that has a bound: journal_size_limit of package sqlite, in MiB. Once the file of the log has grown, SQLite
// cuts it to that, and writes over it otherwise. So the size is that of the greatest burst, and grows when one is greater than those before.
const (
	walName  = "WAL (MiB)"
	walBound = 32
)

// check logs each slope, and wants them to be flat where the run was long enough for that to mean something. The log of SQLite may grow
// up to its bound.
func (r *report) check(t *testing.T, length time.Duration) {
	t.Helper()
	const longEnough, mostGrowth = 30 * time.Minute, 0.2 // of the mean, during the run
	if len(r.samples) < 2 {
		return
	}
	for name := range r.samples[len(r.samples)-1].uses {
		mean, slope := r.slope(name)
		t.Logf("%s: %.1f, %+.2f an hour", name, mean, slope)
		isBounded := name == walName && r.samples[len(r.samples)-1].uses[name] <= walBound
		if length >= longEnough && slope*length.Hours() > mostGrowth*mean+1 && !isBounded {
			t.Errorf("%s grows by %.2f an hour", name, slope)
		}
	}
}

// slope returns the mean of a use and how much it grows in an hour, by least squares. The first fifth of the samples, while caches fill,
// does not count.
func (r *report) slope(name string) (mean, anHour float64) {
	samples := r.samples[len(r.samples)/5:]
	var n, sumX, sumY, sumXX, sumXY float64
	for _, s := range samples {
		x, y := s.at.Sub(samples[0].at).Hours(), s.uses[name]
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	if spread := n*sumXX - sumX*sumX; spread > 0 {
		anHour = (n*sumXY - sumX*sumY) / spread
	}
	return sumY / n, anHour
}
