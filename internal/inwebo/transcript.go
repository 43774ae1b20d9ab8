package inwebo

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// MaxTranscriptBytes bounds a file; about four hundred OTPs fit into it.
const MaxTranscriptBytes = 1 << 20

// transcriptQueue bounds the exchanges that wait to be written.
const transcriptQueue = 64

// transcriptCloseTimeout bounds what Close waits for the file.
const transcriptCloseTimeout = time.Second

// ErrTranscriptFull means that the file has reached MaxTranscriptBytes: nothing more was written.
var ErrTranscriptFull = errors.New("the transcript is full: move the file away")

// Transcript writes the shapes of exchanges to a file, one JSON object a line, for a person who reports what the server sends. It never
// writes a value of an exchange, and no exchange ever waits for it: it drops what it cannot take at once. It is safe for concurrent use.
type Transcript struct {
	file    *os.File
	samples chan *Sample
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	size    int64
	report  func(error)
	err     error // the first fault; to be read when stopped is closed
}

// OpenTranscript opens a regular file for appending, and creates it for its owner alone where there is none. The caller must close
// the Transcript. report, when set, is called with the first fault, from the goroutine that writes; nothing is written after it.
func OpenTranscript(name string, report func(error)) (*Transcript, error) {
	file, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	t := &Transcript{
		file: file, size: info.Size(), report: report, samples: make(chan *Sample, transcriptQueue),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go t.run()
	return t, nil
}

// openRegular opens the file without waiting for anyone at the other end of it.
func openRegular(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// Samples is where exchanges are offered. It must not be closed. A nil Transcript has none.
func (t *Transcript) Samples() chan<- *Sample {
	if t == nil {
		return nil
	}
	return t.samples
}

// Close writes what waits, and closes the file. It returns the first fault of all that was written. It waits a second for a
// file that does not take it. A nil Transcript has nothing to write.
func (t *Transcript) Close() error {
	if t == nil {
		return nil
	}
	t.once.Do(func() { close(t.stop) })
	timeout := time.NewTimer(transcriptCloseTimeout)
	defer timeout.Stop()
	select {
	case <-t.stopped:
		return t.err
	case <-timeout.C:
		return errors.New("the file does not take what is written")
	}
}

func (t *Transcript) run() {
	defer close(t.stopped)
	for {
		select {
		case s := <-t.samples:
			t.write(s)
		case <-t.stop:
			t.finish()
			return
		}
	}
}

// finish writes what waits.
func (t *Transcript) finish() {
	for {
		select {
		case s := <-t.samples:
			t.write(s)
		default:
			t.note(t.file.Close())
			return
		}
	}
}

// transcriptLine is a shape and when it was written.
type transcriptLine struct {
	At time.Time `json:"at"`
	Shape
}

// write appends one shape. After a fault nothing more is written, so that no line is torn twice.
func (t *Transcript) write(s *Sample) {
	if t.err != nil {
		return
	}
	text, err := encodeSample(s)
	switch {
	case err != nil:
		t.note(err)
		return
	case t.size+int64(len(text)) > MaxTranscriptBytes:
		t.note(ErrTranscriptFull)
		return
	}
	n, err := t.file.Write(text)
	t.size += int64(n)
	t.note(err)
}

// encodeSample returns the line of an exchange. A fault in making it is an error, and not the end of the process.
func encodeSample(s *Sample) (text []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the shape of an exchange could not be made")
		}
	}()
	text, err = json.Marshal(transcriptLine{time.Now().UTC(), s.Shape()})
	return append(text, '\n'), err
}

// note keeps the first fault, and reports it.
func (t *Transcript) note(err error) {
	if t.err != nil || err == nil {
		return
	}
	if t.err = err; t.report != nil {
		t.report(err)
	}
}
