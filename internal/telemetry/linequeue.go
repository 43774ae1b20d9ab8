package telemetry

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// LineQueueLimit is how many bytes of lines may wait for the reader. What comes on top of them is dropped.
const LineQueueLimit = 1 << 20

// LineQueue writes lines to another writer in the background, so that a reader that is slow, stopped or gone costs lines and
// never time. It never makes a writer wait, and counts every line that it drops. It is safe for concurrent use. A queue in which
// nothing waits needs no goroutine, so there is nothing to close.
type LineQueue struct {
	to     io.Writer
	notice func(dropped uint64) []byte

	mu       sync.Mutex
	waiting  []byte        // whole lines
	spare    []byte        // the memory of a batch before
	accepted uint64        // bytes, ever
	done     uint64        // of them, written or dropped
	writing  bool          // a goroutine is at it
	flushes  int           // that wait
	moved    chan struct{} // closed when done has changed, if a flush waits

	dropped uint64 // lines, ever
	noticed uint64 // of them, those that a notice has told of
}

// NewLineQueue returns a queue in front of a writer. When that takes lines again after some were dropped, it first gets the line that
// notice returns for their number; a nil notice writes none.
func NewLineQueue(to io.Writer, notice func(dropped uint64) []byte) *LineQueue {
	return &LineQueue{to: to, notice: notice, moved: make(chan struct{})}
}

// Write takes one or more lines, each with its line break. It does not wait, and its error is always nil.
func (q *LineQueue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting)+len(lines) > LineQueueLimit {
		q.dropped += countLines(lines)
		return len(lines), nil
	}
	q.waiting = append(q.waiting, lines...)
	q.accepted += uint64(len(lines))
	if !q.writing {
		q.writing = true
		go q.write()
	}
	return len(lines), nil
}

func countLines(text []byte) uint64 {
	return uint64(max(1, bytes.Count(text, []byte{'\n'})))
}

// Sync is for zapcore.WriteSyncer. It does not wait: see Flush.
func (q *LineQueue) Sync() error { return nil }

// Dropped is how many lines were dropped since the start.
func (q *LineQueue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Flush waits until every line that was accepted before is written or dropped, and reports whether that was within the time.
func (q *LineQueue) Flush(within time.Duration) bool {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	q.mu.Lock()
	target := q.accepted
	q.flushes++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.flushes--
	}()
	for {
		q.mu.Lock()
		reached, moved := q.done >= target, q.moved
		q.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-moved:
		case <-timeout.C:
			return false
		}
	}
}

// write writes until nothing waits: a line a time, for the lines of other processes may go to the same place.
func (q *LineQueue) write() {
	for {
		batch := q.take()
		if len(batch) == 0 {
			return
		}
		for line := range bytes.Lines(batch) {
			q.tell()
			_, err := q.to.Write(line)
			q.finish(line, err)
		}
	}
}

// take returns what waits. When that is nothing, the goroutine that asks must end.
func (q *LineQueue) take() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.waiting
	q.waiting, q.spare = q.spare[:0], batch
	q.writing = len(batch) > 0
	return batch
}

// tell writes a notice of the lines that were dropped since the last one.
func (q *LineQueue) tell() {
	q.mu.Lock()
	dropped := q.dropped - q.noticed
	q.mu.Unlock()
	if dropped == 0 || q.notice == nil {
		return
	}
	if _, err := q.to.Write(q.notice(dropped)); err != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.noticed += dropped
}

func (q *LineQueue) finish(line []byte, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done += uint64(len(line))
	if err != nil {
		q.dropped++
	}
	if q.flushes > 0 {
		close(q.moved)
		q.moved = make(chan struct{})
	}
}
