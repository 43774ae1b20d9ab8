package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/telemetry"
)

// reader is the other end of a queue. It can stall, and go away.
type reader struct {
	mu    sync.Mutex
	read  bytes.Buffer
	gone  bool
	stall chan struct{} // nil: it reads
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	stall := r.stall
	r.mu.Unlock()
	if stall != nil {
		<-stall
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return 0, errors.New("broken pipe")
	}
	return r.read.Write(p)
}

func (r *reader) setGone(gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = gone
}

func notice(dropped uint64) []byte { return fmt.Appendf(nil, "dropped %d\n", dropped) }

func TestLinesAreWrittenInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r reader
		q := telemetry.NewLineQueue(&r, notice)
		var want strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&want, "line %d\n", i)
			fmt.Fprintf(q, "line %d\n", i)
		}
		_, _ = io.WriteString(q, "two\nlines\n")
		want.WriteString("two\nlines\n")
		if !q.Flush(time.Second) || r.read.String() != want.String() || q.Dropped() != 0 {
			t.Errorf("%d dropped, and %d bytes written of %d", q.Dropped(), r.read.Len(), want.Len())
		}
	})
}

// A stalled reader costs no time: lines wait up to the limit, the others are counted, and a notice tells of them.
func TestAStalledReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := reader{stall: make(chan struct{})}
		q := telemetry.NewLineQueue(&r, notice)
		line := append(bytes.Repeat([]byte{'x'}, 1023), '\n')
		_, _ = q.Write(line)
		synctest.Wait() // it is in the hands of the writer
		const waiting, dropped = telemetry.LineQueueLimit / 1024, 500
		for range waiting + dropped {
			_, _ = q.Write(line)
		}
		_, _ = io.WriteString(q, strings.Repeat("y\n", 5)) // several in one write
		if q.Dropped() != dropped+5 {
			t.Errorf("%d dropped, want %d", q.Dropped(), dropped+5)
		}
		began := time.Now()
		if q.Flush(time.Second) || time.Since(began) != time.Second {
			t.Errorf("Flush took %v", time.Since(began))
		}
		close(r.stall)
		if !q.Flush(time.Second) {
			t.Error("not flushed though the reader reads")
		}
		text := r.read.String()
		if n := strings.Count(text, string(line)); n != waiting+1 {
			t.Errorf("%d lines were written, want %d", n, waiting+1)
		}
		if strings.Count(text, "dropped") != 1 || !strings.Contains(text, fmt.Sprintf("dropped %d\n", dropped+5)) {
			t.Error("no notice, or more than one")
		}
	})
}

// A reader that is gone costs its lines, and is told of them when it is back.
func TestAReaderThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := reader{gone: true}
		q := telemetry.NewLineQueue(&r, notice)
		for range 3 {
			_, _ = io.WriteString(q, "lost\n")
		}
		if !q.Flush(time.Second) || q.Dropped() != 3 {
			t.Errorf("%d dropped", q.Dropped())
		}
		r.setGone(false)
		_, _ = io.WriteString(q, "read\n")
		if !q.Flush(time.Second) || r.read.String() != "dropped 3\nread\n" {
			t.Errorf("the reader has %q", r.read.String())
		}
	})
}

func TestAQueueWithoutANotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := reader{gone: true}
		q := telemetry.NewLineQueue(&r, nil)
		_, _ = io.WriteString(q, "lost\n")
		q.Flush(time.Second)
		r.setGone(false)
		_, _ = io.WriteString(q, "no line break")
		if !q.Flush(time.Second) || r.read.String() != "no line break" {
			t.Errorf("the reader has %q", r.read.String())
		}
	})
}

// Any number of writers at once: a line is written or counted, never both, and never torn.
func TestEveryLineIsWrittenOrCounted(t *testing.T) {
	t.Parallel()
	var r reader
	q := telemetry.NewLineQueue(&r, nil)
	line := strings.Repeat("z", 4095) + "\n"
	var all sync.WaitGroup
	const writers, lines = 8, 500
	for range writers {
		all.Go(func() {
			for range lines {
				_, _ = io.WriteString(q, line)
			}
		})
	}
	all.Wait()
	if !q.Flush(time.Minute) {
		t.Fatal("not flushed")
	}
	written := strings.Count(r.read.String(), line)
	if written*len(line) != r.read.Len() || uint64(written)+q.Dropped() != writers*lines {
		t.Errorf("%d written, %d dropped, of %d", written, q.Dropped(), writers*lines)
	}
}
