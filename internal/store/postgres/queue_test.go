package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/storequeue"
)

// recorder sends batches of words and remembers them. Each takes as long as it is told.
type recorder struct {
	takes time.Duration

	mu      sync.Mutex
	batches [][]string
}

func (r *recorder) send(batch []*job[string]) {
	var words []string
	for _, j := range batch {
		words = append(words, j.task)
	}
	r.mu.Lock()
	r.batches = append(r.batches, words)
	r.mu.Unlock()
	time.Sleep(r.takes)
}

// expect fails unless those batches were sent; the order within a batch does not matter.
func (r *recorder) expect(t *testing.T, want ...[]string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, batch := range r.batches {
		slices.Sort(batch)
	}
	if fmt.Sprint(r.batches) != fmt.Sprint(want) {
		t.Errorf("sent were %v, want %v", r.batches, want)
	}
}

// firstLetter has no two words with the same first letter sent together.
func firstLetter(word *string) string { return (*word)[:1] }

// enqueue has each word done by a caller of its own, and returns their errors when all have one.
func enqueue(ctx context.Context, q *queue[string], words ...string) (errs func() []error) {
	var all sync.WaitGroup
	found := make([]error, len(words))
	for i, word := range words {
		all.Go(func() { _, found[i] = q.do(ctx, word) })
		synctest.Wait() // in their order
	}
	return func() []error { all.Wait(); return found }
}

func TestWhatWaitsIsSentAsOneBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: 10 * time.Millisecond}
		q := newQueue(firstLetter, r.send)
		wait := enqueue(t.Context(), q, "a", "b", "c", "b again", "d")
		if err := errors.Join(wait()...); err != nil {
			t.Error(err)
		}
		q.close()
		r.expect(t, []string{"a"}, []string{"b", "c", "d"}, []string{"b again"})
	})
}

func TestABatchThatHangsIsOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: time.Minute}
		q := newQueue(firstLetter, r.send)
		began := time.Now()
		first := enqueue(t.Context(), q, "a")
		second := enqueue(t.Context(), q, "b")
		time.Sleep(overtakeAfter)
		synctest.Wait()
		r.expect(t, []string{"a"}, []string{"b"})
		if err := errors.Join(append(first(), second()...)...); err != nil || time.Since(began) != time.Minute+overtakeAfter {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		q.close()
	})
}

// A caller that gives up before its job is sent knows that it is not; one that gives up later does not know.
func TestACallerThatGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: overtakeAfter / 2}
		q := newQueue(firstLetter, r.send)
		ctx, cancel := context.WithCancel(t.Context())
		sent := enqueue(ctx, q, "a")
		waiting := enqueue(ctx, q, "b")
		cancel()
		if _, unsent := errors.AsType[notSent](sent()[0]); unsent || !errors.Is(sent()[0], context.Canceled) {
			t.Errorf("of a job that is on its way: %v", sent()[0])
		}
		if _, unsent := errors.AsType[notSent](waiting()[0]); !unsent {
			t.Errorf("of a job that waits: %v", waiting()[0])
		}
		q.close()
		r.expect(t, []string{"a"})
	})
}

func TestAQueueThatIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: overtakeAfter / 2}
		q := newQueue(firstLetter, r.send)
		wait := enqueue(t.Context(), q, "a")
		q.close()
		if err := errors.Join(wait()...); err != nil {
			t.Errorf("what was sent: %v", err)
		}
		if _, err := q.do(t.Context(), "b"); !errors.Is(err, storequeue.ErrClosed) {
			t.Errorf("after that: %v", err)
		}
		r.expect(t, []string{"a"})
	})
}

func TestABatchHasABound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{takes: overtakeAfter / 2}
		q := newQueue(func(*string) string { return "" }, r.send)
		var words []string
		for n := range 1 + maxBatch + 1 {
			words = append(words, fmt.Sprintf("%03d", n))
		}
		if err := errors.Join(enqueue(t.Context(), q, words...)()...); err != nil {
			t.Error(err)
		}
		q.close()
		r.expect(t, words[:1], words[1:1+maxBatch], words[1+maxBatch:])
	})
}

// A batch whose sending panics fails its jobs, which may be stored, and no later ones.
func TestABatchThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent int
		q := newQueue(firstLetter, func([]*job[string]) {
			if sent++; sent == 1 {
				panic("in a batch")
			}
		})
		defer q.close()
		if _, err := q.do(t.Context(), "first"); err == nil || errors.As(err, new(notSent)) {
			t.Errorf("the first word returns %v, want an error that leaves open what became of it", err)
		}
		if _, err := q.do(t.Context(), "second"); err != nil {
			t.Error(err)
		}
	})
}
