package crashtest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// kind is what happens at a point.
type kind string

const (
	killedBefore  kind = "killed before the call"
	killedAfter   kind = "killed after the call"
	killedHalfway kind = "killed in the middle of a write"
	killedAgain   kind = "killed, and again while starting"
	onceEIO       kind = "fails once, EIO"
	onceENOSPC    kind = "fails once, ENOSPC"
	everEIO       kind = "fails for ever, EIO"
	everENOSPC    kind = "fails for ever, ENOSPC"
)

func kinds() []kind {
	return []kind{killedBefore, killedAfter, killedHalfway, killedAgain, onceEIO, onceENOSPC, everEIO, everENOSPC}
}

// point is a durable system call of a child, the n-th, and what happens there.
type point struct {
	kind   kind
	n      int
	manner variant
}

func (p point) String() string {
	return fmt.Sprintf("%s: call %d (%s, %s)", p.kind, p.n, p.manner.ratchet, p.manner.lost)
}

// decide returns the verdict on the calls of one run, and reports whether the point was reached.
func (p point) decide(reached *bool) func(crashtest.Call) crashtest.Action {
	n := 0
	return func(crashtest.Call) crashtest.Action {
		n++
		if n < p.n {
			return crashtest.Allow()
		}
		action, hit := p.action(n == p.n)
		*reached = *reached || hit
		return action
	}
}

// action returns what happens to the call at the point, or to one after it.
func (p point) action(isAt bool) (action crashtest.Action, hit bool) {
	switch {
	case p.kind == everEIO:
		return crashtest.Fail(unix.EIO), true
	case p.kind == everENOSPC:
		return crashtest.Fail(unix.ENOSPC), true
	case !isAt:
		return crashtest.Allow(), false
	}
	switch p.kind {
	case onceEIO:
		return crashtest.Fail(unix.EIO), true
	case onceENOSPC:
		return crashtest.Fail(unix.ENOSPC), true
	case killedAfter:
		return crashtest.KillAfter(), true
	case killedHalfway:
		return crashtest.KillHalfway(), true
	default:
		return crashtest.KillBefore(), true
	}
}

// sweep tries points, some at a time, and counts what it finds.
type sweep struct {
	child string
	otps  int           // that the child asks for
	seats chan struct{} // taken by who uses the processor

	mu           sync.Mutex
	counts       map[kind]map[found]int
	acknowledged map[kind]int // OTPs
	faults       map[point]error
}

func newSweep(child string) *sweep {
	return &sweep{
		child: child, otps: otpCount, seats: make(chan struct{}, 4),
		counts: map[kind]map[found]int{}, acknowledged: map[kind]int{}, faults: map[point]error{},
	}
}

// run tries the points.
func (s *sweep) run(t *testing.T, points []point) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range points {
		s.seats <- struct{}{}
		all.Go(func() {
			defer func() { <-s.seats }()
			s.try(t, p)
		})
	}
	all.Wait()
}

// yieldFor lets other goroutines of the sweep run for d.
func (s *sweep) yieldFor(d time.Duration) {
	<-s.seats
	time.Sleep(d)
	s.seats <- struct{}{}
}

// notReached is a point that the run did not come to: how many calls it makes varies by a few.
const notReached found = "not reached"

// try runs a child into a point, and judges what is left.
func (s *sweep) try(t *testing.T, p point) {
	t.Helper()
	w := newHarness(t, p.manner)
	defer w.end(t)
	var reached bool
	log, _, err := w.run(t.Context(), s.child, s.otps, p.decide(&reached))
	if err == nil && p.kind == killedAgain && reached {
		again := point{killedBefore, 1 + p.n%startCalls, p.manner}
		log, _, err = w.run(t.Context(), s.child, 0, again.decide(new(bool)))
	}
	f := notReached
	if err == nil && reached {
		f, err = w.inspect(t.Context(), w.dir, func(core *app.Core) (found, error) { return w.check(t.Context(), core, s.yieldFor) })
	}
	s.record(p, f, len(w.acknowledged.otps), err, log)
}

// startCalls is about how many durable calls a start on a store makes that a killed process has left.
const startCalls = 12

func (s *sweep) record(p point, f found, otps int, err error, log string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[p.kind] == nil {
		s.counts[p.kind] = map[found]int{}
	}
	s.counts[p.kind][f]++
	s.acknowledged[p.kind] += otps
	if err != nil {
		s.faults[p] = fmt.Errorf("%s: %w\nThe child's log:\n%s", p, err, log)
	}
}

// tried is how many points were reached.
func (s *sweep) tried() (n int) {
	for _, counts := range s.counts {
		for f, count := range counts {
			if f != notReached {
				n += count
			}
		}
	}
	return n
}

// String is a table of what was found.
func (s *sweep) String() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := []found{foundNone, foundIdle, foundInDoubt, foundBehind, notReached}
	fmt.Fprint(table, "at the point\t")
	for _, f := range columns {
		fmt.Fprint(table, f, "\t")
	}
	fmt.Fprintln(table, "OTPs told\tviolations\t")
	for _, k := range kinds() {
		fmt.Fprint(table, k, "\t")
		for _, f := range columns {
			fmt.Fprint(table, s.counts[k][f], "\t")
		}
		violations := 0
		for p := range s.faults {
			if p.kind == k {
				violations++
			}
		}
		fmt.Fprint(table, s.acknowledged[k], "\t", violations, "\t\n")
	}
	_ = table.Flush() // into memory
	return text.String()
}

// points are all where a run that makes these calls can be hit. Those that would show nothing new are left out: to be
// killed after a call is to be killed before the next one, unless the world is told something in between.
func points(calls []crashtest.Call) (all []point) {
	for i, c := range calls {
		kinds := []kind{killedBefore, onceEIO, onceENOSPC, everEIO}
		if i%2 == 1 {
			kinds[3] = everENOSPC
		}
		switch {
		case c.Op == crashtest.Sync:
			kinds = append(kinds, killedAfter, killedAgain)
		case c.Op == crashtest.Write && len(c.Data) > 512: // not the head of a frame
			kinds = append(kinds, killedHalfway)
		}
		for k, kind := range kinds {
			all = append(all, point{kind, i + 1, variants()[(i+k)%len(variants())]})
		}
	}
	return all
}

// sample takes n things from all over, or what there is.
func sample[T any](n int, all []T) (some []T) {
	n = min(n, len(all))
	for i := range n {
		some = append(some, all[(2*i+1)*len(all)/(2*n)])
	}
	return some
}

// allOr takes n things, or all of them for the whole test.
func allOr[T any](n int, all []T) []T {
	if *whole {
		return all
	}
	return sample(n, all)
}

// calls runs a child without any harm, and gives its durable calls.
func calls(t *testing.T, child string) (calls []crashtest.Call) {
	t.Helper()
	w := newHarness(t, variants()[0])
	defer w.end(t)
	log, failed, err := w.run(t.Context(), child, otpCount, func(c crashtest.Call) crashtest.Action {
		calls = append(calls, c)
		return crashtest.Allow()
	})
	if err != nil || failed || len(w.acknowledged.otps) != otpCount {
		t.Fatalf("undisturbed, %q tells %d OTPs (%v). Its log:\n%s", child, len(w.acknowledged.otps), err, log)
	}
	return calls
}

// A crash or a failing disk, at any call that changes the store's files, loses no step of the ratchet.
func TestCrashSweep(t *testing.T) {
	t.Parallel()
	made := calls(t, "daemon")
	s := newSweep("daemon")
	start := time.Now()
	s.run(t, allOr(32, points(made)))
	t.Logf("%d OTPs make %d durable calls; %d points in %v\n%s", otpCount, len(made), s.tried(), time.Since(start).Round(time.Second), s)
	if *whole && s.tried() < 1000 {
		t.Errorf("%d points were tried, want 1000 at least", s.tried())
	}
	for _, err := range s.faults {
		t.Error(err)
	}
}

// A store that answers before it has committed is caught by the same sweep.
func TestCrashSweepCatchesHaste(t *testing.T) {
	t.Parallel()
	s := newSweep("hasty")
	s.run(t, sample(12, points(calls(t, "hasty"))))
	lost := 0
	for _, err := range s.faults {
		if strings.Contains(err.Error(), "a step is lost") {
			lost++
		}
	}
	t.Logf("at %d of %d points, a hasty store loses a step\n%s", lost, s.tried(), s)
	if lost == 0 {
		t.Error("the sweep finds nothing wrong with a store that answers before it has committed")
	}
}
