// Package hotpath holds steps on the path of an OTP to what they may allocate, and times them: the same steps, as a test
// that fails and as a benchmark that tells. It is scaffolding: no production package imports it.
package hotpath

import "testing"

// Step is something that every OTP does.
type Step struct {
	Name string
	// Most is how many objects it may allocate. Whoever makes it allocate more changes the number, and says why.
	Most float64
	Do   func()
}

// Test fails for every step that allocates more than it may, and for one that allocates much less: then the number is to
// be lowered, or it would hold nothing. It must not run beside other tests. The race detector allocates as well, and not
// always the same; under it the steps are only run.
func Test(t *testing.T, steps []Step) {
	t.Helper()
	const runs = 200
	for _, s := range steps {
		allocated := testing.AllocsPerRun(runs, s.Do)
		t.Logf("%s allocates %v objects", s.Name, allocated)
		if raceDetector {
			continue
		}
		if allocated > s.Most {
			t.Errorf("%s allocates %v objects, and may %v", s.Name, allocated, s.Most)
		}
		if allocated < s.Most*3/4 {
			t.Errorf("%s allocates %v objects, and may %v: lower the number", s.Name, allocated, s.Most)
		}
	}
}

// Benchmark times the steps.
func Benchmark(b *testing.B, steps []Step) {
	b.Helper()
	for _, s := range steps {
		b.Run(s.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Do()
			}
		})
	}
}
