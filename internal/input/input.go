// Package input reads text that people give: files of settings and secrets, values of the environment, and lines of
// standard input. Each of them may come from an editor, a shell or an orchestrator that adds what nobody typed, such as a
// byte order mark or a line break at the end.
//
// Everything is read in bounds. The package must never put what it has read into an error, since it may be a secret.
package input

import (
	"errors"
	"fmt"
	"io"
	"os"
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

// ReadFile returns the content of the file at path, which may have up to limit bytes, as it is: the caller trims it.
// The error wraps ErrTooLarge when the file has more.
func ReadFile(path string, limit int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return readAll(file, limit)
}

// readAll reads into one buffer. A buffer that grows would leave copies of a secret in memory.
func readAll(file *os.File, limit int) ([]byte, error) {
	content := make([]byte, limit+1)
	n, err := io.ReadFull(file, content)
	switch {
	case err == nil:
		clear(content)
		return nil, fmt.Errorf("%s is over %d KiB: %w", file.Name(), limit>>10, ErrTooLarge)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return content[:n], nil
	default:
		clear(content)
		return nil, err
	}
}
