// Package transcript writes the shapes of exchanges with inWebo to a file, for a person who reports what the server sends.
//
// It never writes a value of an exchange, and no exchange ever waits for it: what it cannot take at once is dropped.
package transcript

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// MaxBytes bounds a file; about four hundred OTPs fit into it.
const MaxBytes = 1 << 20

// waiting bounds the exchanges that wait to be written.
const waiting = 64

// closeTimeout bounds what Close waits for the file.
const closeTimeout = time.Second

// ErrFull means that the file has reached MaxBytes: nothing more was written.
var ErrFull = errors.New("the transcript is full: move the file away")

// Writer appends shapes to a file, one JSON object a line. It is safe for concurrent use.
type Writer struct {
	file    *os.File
	samples chan *inwebo.Sample
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	size    int64
	report  func(error)
	err     error // the first fault; to be read when stopped is closed
}

// Open opens a regular file for appending, and creates it for its owner alone where there is none. The caller must close
// the Writer. report, when set, is called with the first fault, from the goroutine that writes; nothing is written after it.
func Open(name string, report func(error)) (*Writer, error) {
	file, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := &Writer{
		file: file, size: info.Size(), report: report, samples: make(chan *inwebo.Sample, waiting),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// openRegular opens the file without waiting for anyone at the other end of it.
func openRegular(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// Samples is where exchanges are offered. It must not be closed.
func (w *Writer) Samples() chan<- *inwebo.Sample { return w.samples }

// Close writes what waits, and closes the file. It returns the first fault of all that was written. It waits a second for a
// file that does not take it.
func (w *Writer) Close() error {
	w.once.Do(func() { close(w.stop) })
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-w.stopped:
		return w.err
	case <-timeout.C:
		return errors.New("the file does not take what is written")
	}
}

func (w *Writer) run() {
	defer close(w.stopped)
	for {
		select {
		case s := <-w.samples:
			w.write(s)
		case <-w.stop:
			w.finish()
			return
		}
	}
}

// finish writes what waits.
func (w *Writer) finish() {
	for {
		select {
		case s := <-w.samples:
			w.write(s)
		default:
			w.note(w.file.Close())
			return
		}
	}
}

// line is a shape and when it was written.
type line struct {
	At time.Time `json:"at"`
	inwebo.Shape
}

// write appends one shape. After a fault nothing more is written, so that no line is torn twice.
func (w *Writer) write(s *inwebo.Sample) {
	if w.err != nil {
		return
	}
	text, err := encode(s)
	switch {
	case err != nil:
		w.note(err)
		return
	case w.size+int64(len(text)) > MaxBytes:
		w.note(ErrFull)
		return
	}
	n, err := w.file.Write(text)
	w.size += int64(n)
	w.note(err)
}

// encode makes the line of an exchange. A fault in making it is an error, and not the end of the process.
func encode(s *inwebo.Sample) (text []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the shape of an exchange could not be made")
		}
	}()
	text, err = json.Marshal(line{time.Now().UTC(), s.Shape()}) //nolint:forbidigo // a stamp for people
	return append(text, '\n'), err
}

// note keeps the first fault, and reports it.
func (w *Writer) note(err error) {
	if w.err != nil || err == nil {
		return
	}
	if w.err = err; w.report != nil {
		w.report(err)
	}
}
