// Package input reads text from outside in bounds, and makes it safe to show: files of settings and secrets, certificates with
// their keys, values of the environment, lines of standard input. Each of them may come from an editor, a shell or an
// orchestrator that adds what was not typed, such as a byte order mark or a line break at the end.
//
// The package must never put what it has read into an error, since it may be a secret.
package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// byteOrderMark is the UTF-8 form that some editors and shells write before a text.
const byteOrderMark = "\xef\xbb\xbf"

// ErrTooLarge means that a file has more bytes than the caller accepts.
var ErrTooLarge = errors.New("it must be another file")

// Trim returns text without a UTF-8 byte order mark at its start and without one line break, LF or CRLF, at its end.
func Trim[T string | []byte](text T) T { return trimEnd(trimMark(text)) }

func trimMark[T string | []byte](text T) T {
	if len(text) < len(byteOrderMark) {
		return text
	}
	for i := range len(byteOrderMark) {
		if text[i] != byteOrderMark[i] {
			return text
		}
	}
	return text[len(byteOrderMark):]
}

func trimEnd[T string | []byte](text T) T {
	end := len(text)
	if end > 0 && text[end-1] == '\n' {
		end--
		if end > 0 && text[end-1] == '\r' {
			end--
		}
	}
	return text[:end]
}

// LookupEnv returns the value of a variable of the environment, and whether it is there. environ is as os.Environ returns it; the last
// entry of a name counts.
func LookupEnv(environ []string, name string) (value string, ok bool) {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// ReadFile returns the content of the file at path, which may have up to limit bytes, as it is: the caller trims it.
// The error wraps ErrTooLarge when the file has more.
func ReadFile(path string, limit int) ([]byte, error) {
	file, err := open(path, pipeTimeout)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return readAll(file, limit)
}

// pipeTimeout is how long the writer of a pipe may take. Such a writer is a program that decrypts a secret, for example.
const pipeTimeout = 30 * time.Second

// open opens a file for reading. It does not wait for the writer of a pipe, and reads from the file fail after the timeout if it is
// a pipe or a terminal.
func open(path string, timeout time.Duration) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(timeout) //nolint:forbidigo // the system takes no other form of a time-out
	_ = file.SetReadDeadline(deadline)  // it fails for a regular file, which needs no deadline
	return file, nil
}

// readAll reads a file of up to limit bytes.
func readAll(file *os.File, limit int) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > limit:
		return nil, fmt.Errorf("%s is over %d KiB: %w", file.Name(), limit>>10, ErrTooLarge)
	case len(content) == 0 && isPipe(file):
		return nil, fmt.Errorf("%s is a pipe into which nothing was written: its writer must have begun before, and must not fail", file.Name())
	default:
		return content, nil
	}
}

// isPipe reports whether the open file is a pipe. What is read from one that is empty may be the output of a command that failed.
func isPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}
